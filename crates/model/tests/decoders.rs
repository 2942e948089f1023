//! What the `config.json` of a decoder may say: two ways to write the same, and what is refused.

use std::path::Path;

use finetone_backend::Mask;
use finetone_model::families::{Sizes, from_scratch, read_config};
use finetone_model::{Family, ModelConfig, ModelError, Positions, Rotary, RotaryScaling};
use serde_json::{Map, Value, json};

const DECODERS: [Family; 4] = [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3];

fn scratch(family: Family) -> Map<String, Value> {
    let (vocab_size, hidden_size, layers, heads, intermediate_size) = (20, 24, 3, 4, 12);
    let sizes = Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 16, pad_token_id: 0 };
    from_scratch(family, &sizes).unwrap().raw
}

/// The configuration with some fields changed; `"absent"` takes one away.
fn read(family: Family, changes: &Value) -> Result<ModelConfig, ModelError> {
    let mut fields = scratch(family);
    for (name, value) in changes.as_object().unwrap() {
        match value.as_str() {
            Some("absent") => drop(fields.remove(name)),
            _ => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    read_config(&fields, Path::new("config.json"))
}

fn rotary(changes: &Value) -> Rotary {
    match read(Family::Llama, changes).unwrap().positions {
        Positions::Rotary(rotary) => rotary,
        Positions::Learned => panic!("a Llama without rotary positions"),
    }
}

#[test]
fn rotary_positions_are_read_as_old_and_as_new_files_have_them() {
    let llama3 = |kind: &str| {
        json!({ kind: "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192 })
    };
    let mut new = llama3("rope_type");
    new["rope_theta"] = json!(500_000.0);
    let old = json!({ "rope_parameters": "absent", "rope_theta": 500_000.0, "rope_scaling": llama3("type") });
    let scaling = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
    assert_eq!(rotary(&json!({ "rope_parameters": new })), Rotary { theta: 500_000.0, scaling });
    assert_eq!(rotary(&old), Rotary { theta: 500_000.0, scaling });
    let plain = json!({ "rope_parameters": "absent", "rope_scaling": null });
    assert_eq!(rotary(&plain), Rotary { theta: 10_000.0, scaling: RotaryScaling::None });
    let linear = json!({ "rope_parameters": "absent", "rope_scaling": { "type": "linear", "factor": 2 } });
    assert_eq!(rotary(&linear).scaling, RotaryScaling::Linear { factor: 2.0 });
}

/// What the reader of this `config.json` says, with its hint.
fn refusal(family: Family, changes: &Value) -> String {
    let error = read(family, changes).err().unwrap_or_else(|| panic!("{family:?} with {changes} was read"));
    format!("{error}; {}", error.hint().expect("a hint"))
}

#[test]
fn what_would_change_the_arithmetic_is_refused_by_name() {
    let rope = |fields: Value| json!({ "rope_parameters": fields });
    let cases = [
        (rope(json!({ "rope_type": "yarn", "factor": 4.0 })), "`rope_type` is `\"yarn\"`"),
        (rope(json!({ "rope_type": "dynamic", "factor": 4.0 })), "`default`, `linear` and `llama3` are supported"),
        (rope(json!({ "rope_type": "default", "mrope_section": [1, 2] })), "`rope_parameters.mrope_section`"),
        (rope(json!({ "rope_type": "linear" })), "`factor` is missing, expected a number above 0"),
        (rope(json!({ "rope_theta": -1.0 })), "a `rope_theta` above 0"),
        (json!({ "partial_rotary_factor": 0.5 }), "`partial_rotary_factor` is `0.5`"),
        (json!({ "num_key_value_heads": 3 }), "expected a divisor of the 4 attention heads"),
        (json!({ "head_dim": 5 }), "rotary positions need an even `head_dim`"),
        (json!({ "head_dim": 1_000_000_000 }), "a size that a head may have"),
        (json!({ "hidden_act": "mish" }), "`silu`"),
        (json!({ "attention_dropout": 1.5 }), "a rate from 0 to below 1"),
    ];
    for family in DECODERS {
        for (changes, wanted) in &cases {
            let refused = refusal(family, changes);
            assert!(refused.contains(wanted), "{family:?} with {changes}: {refused}");
        }
    }
}

#[test]
fn windows_are_those_that_transformers_slides() {
    let masks = |family, changes: &Value| {
        let config = read(family, changes).unwrap();
        (0..3).map(|block| config.mask_of(block)).collect::<Vec<_>>()
    };
    let window = Mask::Window(5);
    assert_eq!(masks(Family::Mistral, &json!({ "sliding_window": 5 })), [window; 3]);
    assert_eq!(masks(Family::Mistral, &json!({ "sliding_window": "absent" })), [Mask::Window(4096); 3]);
    assert_eq!(masks(Family::Mistral, &json!({})), [Mask::Causal; 3]);
    for family in [Family::Qwen2, Family::Qwen3] {
        let used = json!({ "use_sliding_window": true, "sliding_window": 5, "max_window_layers": 1 });
        assert_eq!(masks(family, &used), [Mask::Causal, window, window]);
        assert_eq!(masks(family, &json!({ "sliding_window": 5, "max_window_layers": 1 })), [Mask::Causal; 3]);
        let types = ["sliding_attention", "full_attention", "sliding_attention"];
        let by_type = json!({ "use_sliding_window": true, "sliding_window": 5, "layer_types": types });
        assert_eq!(masks(family, &by_type), [window, Mask::Causal, window]);
        assert!(refusal(family, &json!({ "layer_types": types })).contains("`sliding_window`"));
        assert!(refusal(family, &json!({ "layer_types": ["full_attention"] })).contains("for each layer"));
    }
    let types = ["full_attention", "sliding_attention", "full_attention"];
    assert!(refusal(Family::Mistral, &json!({ "layer_types": types })).contains("`layer_types`"));
}

#[test]
fn fewer_layers_have_fewer_types() {
    let types = ["sliding_attention", "full_attention", "sliding_attention"];
    let by_type = json!({ "use_sliding_window": true, "sliding_window": 5, "layer_types": types });
    let mut config = read(Family::Qwen3, &by_type).unwrap();
    config.keep_layers(2);
    assert_eq!(config.raw["layer_types"], json!(["sliding_attention", "full_attention"]));
    assert!(read_config(&config.raw, Path::new("config.json")).is_ok());
}

#[test]
fn an_encoder_is_no_language_model() {
    let mut config = read_config(&scratch(Family::Bert), Path::new("config.json")).unwrap();
    let error = config.set_language_head().unwrap_err();
    assert_eq!(error.to_string(), "a model of type `bert` reads texts in both directions and cannot write any");
    assert!(error.hint().unwrap().contains("GPT-2, Llama, Mistral or Qwen"));
}
