//! Which parameters are trained, and each one's rate and decay.

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_model::{LoraSettings, Model, ModelConfig, ParamSpec, ParamTable, Part};

use crate::error::TrainError;
use crate::run_config::RunConfig;

/// The tables with a row for each token, which are trained beside adapters where there are tokens that the model has never seen.
const TOKEN_TABLES: [&str; 2] = ["embeddings.token", "head.tokens.weight"];

/// Gives the model the adapters that the settings ask for.
///
/// # Errors
/// A layer that the model does not have.
pub fn adapt<B: Backend>(backend: &B, model: Model<B>, config: &RunConfig) -> Result<Model<B>, TrainError> {
    let rank = config.lora_rank;
    if rank == 0 {
        return Ok(model);
    }
    let settings = LoraSettings {
        rank,
        alpha: config.lora_alpha.unwrap_or(2.0 * rank as f64),
        rank_stabilised: config.lora_rslora,
        dropout: config.lora_dropout,
    };
    let mut with_adapters = model.config.clone();
    with_adapters.set_lora(settings, &config.lora_targets).map_err(ClassifyError::from)?;
    Ok(model.adapted(backend, with_adapters, config.seed))
}

/// Whether a parameter is trained before `freeze` has its say: all of a model without adapters, else the adapters, the head of a
/// classifier, and tokens that are new.
fn is_trained(spec: &ParamSpec, model: &ModelConfig, has_new_tokens: bool) -> bool {
    let whole = (spec.part == Part::Head && model.language.is_none())
        || (has_new_tokens && TOKEN_TABLES.contains(&spec.name.as_str()));
    model.lora.is_none() || spec.adapter || whole
}

/// Marks what `freeze` names as not trained, and with adapters all whose place they take.
///
/// # Errors
/// A pattern that matches no parameter, or nothing left to train.
pub fn freeze(
    table: &mut ParamTable,
    (model, has_new_tokens): (&ModelConfig, bool),
    config: &RunConfig,
) -> Result<(), TrainError> {
    let blocks = model.num_hidden_layers;
    for rule in &config.freeze {
        if !table.iter().any(|(_, spec)| freezes(rule, spec, blocks)) {
            let names: Vec<&str> = table.iter().map(|(_, spec)| spec.name.as_str()).take(4).collect();
            return Err(TrainError::Setting {
                problem: format!("`freeze` has `{rule}`, which matches no parameter"),
                hint: format!(
                    "`embeddings`, a number of blocks (`4` from the input on, `-2` for all but the last two), or a pattern \
                     over names such as `{}`",
                    names.join("`, `")
                ),
            });
        }
    }
    let frozen = |spec: &ParamSpec| config.freeze.iter().any(|rule| freezes(rule, spec, blocks));
    table.set_trainable(|spec| is_trained(spec, model, has_new_tokens) && !frozen(spec));
    if table.gradient_len() == 0 {
        return Err(TrainError::Setting {
            problem: "`freeze` leaves nothing to train".into(),
            hint: "keep at least the head: `freeze = [\"embeddings\", \"blocks.*\"]`".into(),
        });
    }
    Ok(())
}

/// `embeddings`; a number n: the embeddings and the first n of the blocks, or all but the last n for -n; otherwise a name
/// with `*` for anything.
fn freezes(rule: &str, spec: &ParamSpec, blocks: usize) -> bool {
    if let Ok(number) = rule.parse::<isize>() {
        let frozen = if number < 0 { blocks.saturating_sub(number.unsigned_abs()) } else { number.unsigned_abs() };
        return match spec.part {
            Part::Embedding => true,
            Part::Block(i) => i < frozen,
            Part::FinalNorm | Part::Head => false,
        };
    }
    (rule == "embeddings" && spec.part == Part::Embedding) || matches(rule.as_bytes(), spec.name.as_bytes())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|i| matches(rest, &name[i..])),
        Some((first, rest)) => name.first() == Some(first) && matches(rest, &name[1..]),
    }
}

/// What a parameter's rate is multiplied by, and its weight decay.
pub fn rate_and_decay(spec: &ParamSpec, blocks: usize, config: &RunConfig) -> (f64, f64) {
    let below = |distance: usize| config.layer_decay.powi(distance as i32);
    let rate = match spec.part {
        Part::Head => config.head_rate,
        Part::FinalNorm => 1.0,
        Part::Block(i) => below(blocks - 1 - i),
        Part::Embedding => below(blocks),
    };
    (rate, if spec.decay { config.weight_decay } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use finetone_model::families::{Sizes, from_scratch};
    use finetone_model::{Family, Transformer};

    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches(b"blocks.*.norm.*", b"blocks.0.attention.norm.gain"));
        assert!(matches(b"*", b"anything"));
        assert!(!matches(b"blocks.0", b"blocks.0.mlp.up.weight"));
        assert!(!matches(b"*.gain", b"head.dense.weight"));
    }

    #[test]
    fn numbers_freeze_blocks_from_the_input() {
        let (vocab_size, hidden_size, layers, heads, intermediate_size) = (9, 4, 3, 2, 6);
        let sizes = Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 9, pad_token_id: 0 };
        let model = from_scratch(Family::Gpt2, &sizes).unwrap();
        let (_, mut table) = Transformer::declare(&model);
        for (rule, lowest) in [
            ("0", Part::Block(0)),
            ("2", Part::Block(2)),
            ("3", Part::FinalNorm),
            ("7", Part::FinalNorm),
            ("-1", Part::Block(2)),
            ("-3", Part::Block(0)),
            ("-9", Part::Block(0)),
        ] {
            let config = RunConfig { freeze: vec![rule.to_owned()], ..RunConfig::default() };
            freeze(&mut table, (&model, false), &config).unwrap();
            assert_eq!(table.lowest_trainable(), Some(lowest), "{rule}");
        }
    }
}
