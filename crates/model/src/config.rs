//! What a model is made of: an enumeration for every choice that families make differently.

use std::path::Path;

use finetone_backend::{Activation, Mask, NormKind};
use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::lora::Lora;
use crate::rotary::Rotary;

/// A family of models: how its `config.json` is read and what its tensors are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// GPT-2 (`gpt2`).
    Gpt2,
    /// BERT and MiniLM (`bert`).
    Bert,
    /// RoBERTa and BERTweet (`roberta`), XLM-R (`xlm-roberta`).
    Roberta,
    /// DistilBERT (`distilbert`).
    DistilBert,
    /// Llama (`llama`).
    Llama,
    /// Mistral (`mistral`).
    Mistral,
    /// Qwen2 and Qwen2.5 (`qwen2`).
    Qwen2,
    /// Qwen3 (`qwen3`).
    Qwen3,
}

/// Where the normalisations of a block stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Before each sublayer, and once after the last block (GPT-2).
    Pre,
    /// After each sublayer's residual sum (BERT).
    Post,
}

/// How a token knows where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Positions {
    /// By a row of a table that is added to its embedding.
    Learned,
    /// By turning its queries and keys.
    Rotary(Rotary),
}

/// Which linear layers of a block have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// The output of attention.
    pub output: bool,
    /// The feed-forward layer.
    pub mlp: bool,
}

impl Biases {
    /// Every layer has one.
    pub(crate) const ALL: Self = Self { qkv: true, output: true, mlp: true };
}

/// Attention that reaches back no further than a window, in some blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How many tokens a query sees, itself included.
    pub size: usize,
    /// Whether the block of this number has it.
    pub blocks: Vec<bool>,
}

/// How the head turns a sequence into one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPooling {
    /// The first token's.
    First,
    /// The last token's.
    Last,
    /// The mean of all tokens'.
    Mean,
    /// Attention with one learned query over the last `last` tokens.
    Attention {
        /// How many tokens at the end take part.
        last: usize,
    },
}

/// What the logits mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// One logit for each class, a softmax over them.
    Softmax,
    /// Two classes, one logit: a sigmoid gives the probability of the second.
    OneLogit,
    /// One logit for each class, a sigmoid each: any number of classes may apply.
    MultiLabel,
}

/// The classification head: pooling → dropout → (dense → activation → dropout) → classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadConfig {
    /// Sequence to vector.
    pub pooling: HeadPooling,
    /// Activation of a dense layer D → D before the classifier, if there is one.
    pub dense: Option<Activation>,
    /// Whether the classifier has a bias.
    pub bias: bool,
    /// Dropout on the pooled vector when a dense layer follows (RoBERTa).
    pub pooled_dropout: f64,
    /// Dropout right before the classifier.
    pub dropout: f64,
    /// What the logits mean.
    pub output: Output,
    /// Numbers of each text that the classifier reads beside the pooled vector, M; 0 for none.
    pub features: usize,
    /// Names of the classes, in the order of the logits.
    pub labels: Vec<String>,
    /// Whether this is the family's own head, which Transformers opens.
    pub standard: bool,
}

impl HeadConfig {
    /// The head of the decoder families: the last token, one linear layer without bias.
    pub(crate) fn of_last_token(output: Output, labels: Vec<String>) -> Self {
        Self {
            pooling: HeadPooling::Last,
            dense: None,
            bias: false,
            pooled_dropout: 0.0,
            dropout: 0.0,
            output,
            features: 0,
            labels,
            standard: true,
        }
    }

    /// The same head where it is not the family's own: pooling, dropout, one linear layer.
    pub(crate) fn of_our_own(&self) -> Self {
        Self { dense: None, bias: true, pooled_dropout: 0.0, standard: false, ..self.clone() }
    }

    /// Number of logits C.
    pub fn logits(&self) -> usize {
        match self.output {
            Output::OneLogit => 1,
            Output::Softmax | Output::MultiLabel => self.labels.len(),
        }
    }
}

/// The head of a language model: a linear layer from a token's hidden state to a logit for each token that may follow it, or
/// stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageHead {
    /// Whether its weight is the table of token embeddings.
    pub tied: bool,
    /// In a masked language model, the function between the dense layer and the norm that stand before that layer, which has a
    /// bias there.
    pub masked: Option<Activation>,
}

/// A transformer's sizes and choices. Sizes carry Hugging Face's names.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family it was read from and is written as.
    pub family: Family,
    /// Rows of the token embedding, V.
    pub vocab_size: usize,
    /// Width of a token, D.
    pub hidden_size: usize,
    /// Number of blocks, L.
    pub num_hidden_layers: usize,
    /// Number of attention heads, H.
    pub num_attention_heads: usize,
    /// Number of key and value heads, K; each is read by H / K heads.
    pub num_key_value_heads: usize,
    /// Size of one head, E.
    pub head_dim: usize,
    /// Width of the feed-forward layer, F.
    pub intermediate_size: usize,
    /// How a token knows where it stands.
    pub positions: Positions,
    /// Rows of the position embedding, the offset included; with rotary positions the longest sequence.
    pub max_position_embeddings: usize,
    /// The row of the first position (RoBERTa counts from the padding id + 1).
    pub position_offset: usize,
    /// Rows of the token-type embedding; 0 where there is none. All tokens are of type 0.
    pub type_vocab_size: usize,
    /// What the normalisations do.
    pub norm: NormKind,
    /// ε of the normalisations.
    pub norm_epsilon: f64,
    /// Whether each head's queries and keys are normalised (Qwen3).
    pub head_norm: bool,
    /// Where the normalisations stand.
    pub placement: Placement,
    /// Which keys a query sees, but for a window.
    pub mask: Mask,
    /// Blocks that see no more than a window.
    pub window: Option<Window>,
    /// Which linear layers have a bias.
    pub biases: Biases,
    /// The feed-forward layer's function.
    pub activation: Activation,
    /// Whether the function's values are multiplied by those of a second linear layer beside the first.
    pub gated: bool,
    /// Whether the embedding's sum is normalised.
    pub embedding_norm: bool,
    /// Whether the token-embedding dropout, the residual dropouts and the attention dropout are on, and how much.
    pub dropout: DropoutRates,
    /// Deviation of freshly initialised weights.
    pub initializer_range: f64,
    /// Whether fresh residual projections are scaled by `1 / √(2 L)` (GPT-2).
    pub scaled_residual_init: bool,
    /// The classification head.
    pub head: HeadConfig,
    /// What stands in its place in a language model.
    pub language: Option<LanguageHead>,
    /// The linear layers that carry adapters.
    pub lora: Option<Lora>,
    /// `config.json` as it was read, so that an export keeps every field.
    pub raw: Map<String, Value>,
}

/// The entry of `config.json` that holds what Hugging Face has no word for.
pub(crate) const OURS: &str = "finetone";

/// Dropout of the backbone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutRates {
    /// On the embedding.
    pub embedding: f64,
    /// On each sublayer's output, before the residual sum.
    pub residual: f64,
    /// On the attention probabilities.
    pub attention: f64,
}

impl ModelConfig {
    /// Width of the queries of all heads and of what attention gives, H E.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of queries, keys and values together, (H + 2 K) E.
    pub fn qkv_width(&self) -> usize {
        (self.num_attention_heads + 2 * self.num_key_value_heads) * self.head_dim
    }

    /// Width of what enters the feed-forward layer's function, F, and beside it what it is multiplied by, 2 F.
    pub fn inner_width(&self) -> usize {
        if self.gated { 2 * self.intermediate_size } else { self.intermediate_size }
    }

    /// Which keys a query of the block of this number sees.
    pub fn mask_of(&self, block: usize) -> Mask {
        match &self.window {
            Some(window) if window.blocks[block] => Mask::Window(window.size),
            _ => self.mask,
        }
    }

    /// The longest sequence that the positions allow.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings - self.position_offset
    }

    /// Whether the folder holds a language model, as its `architectures` say.
    pub fn is_language_model(&self) -> bool {
        let mut named = self.raw.get("architectures").and_then(Value::as_array).into_iter().flatten();
        let class = self.family.spec().language_architecture;
        class.is_some_and(|class| named.any(|name| name == class))
    }

    /// Makes it a language model: each token asked for has a logit for each token that may follow, instead of each sequence
    /// one for each class.
    ///
    /// # Errors
    /// A family that reads a text in both directions.
    pub fn set_language_head(&mut self) -> Result<(), ModelError> {
        let spec = self.family.spec();
        if spec.language_architecture.is_none() {
            return Err(ModelError::NoLanguageModel { model_type: spec.model_types[0] });
        }
        let tied = self.raw.get("tie_word_embeddings").and_then(Value::as_bool);
        self.language = Some(LanguageHead { tied: tied.unwrap_or(self.family == Family::Gpt2), masked: None });
        Ok(())
    }

    /// Makes it a masked language model: each token asked for has a logit for each token that may stand in its place.
    ///
    /// # Errors
    /// A family that reads a text in one direction.
    pub fn set_masked_head(&mut self) -> Result<(), ModelError> {
        let spec = self.family.spec();
        let head = spec.masked.as_ref().ok_or(ModelError::NoMaskedModel { model_type: spec.model_types[0] })?;
        let tied = self.raw.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(true);
        self.language = Some(LanguageHead { tied, masked: Some(head.activation.unwrap_or(self.activation)) });
        Ok(())
    }

    /// The function behind the dense layer of the head, where it has one.
    pub(crate) fn head_activation(&self) -> Option<Activation> {
        self.language.map_or(self.head.dense, |language| language.masked)
    }

    /// What `config.json` notes under an entry of ours: what Hugging Face has no word for.
    pub fn noted(&self, entry: &str) -> Option<&Value> {
        self.raw.get(OURS)?.get(entry).filter(|noted| !noted.is_null())
    }

    /// Notes a value under an entry of ours, or takes the note of before away.
    pub fn note(&mut self, entry: &str, value: Option<Value>) {
        match (value, self.raw.get_mut(OURS)) {
            (None, Some(Value::Object(ours))) => drop(ours.remove(entry)),
            (None, _) => {}
            (Some(value), Some(Value::Object(ours))) => drop(ours.insert(entry.to_owned(), value)),
            (Some(value), _) => drop(self.raw.insert(OURS.to_owned(), json!({ entry: value }))),
        }
    }

    /// Refuses a tokenizer that knows more tokens than there are rows of embeddings.
    ///
    /// # Errors
    /// [`ModelError::VocabularyMismatch`], which names the folder that both are from.
    pub fn check_vocabulary(&self, folder: &Path, tokens: usize) -> Result<(), ModelError> {
        match self.vocab_size {
            rows if tokens > rows => Err(ModelError::VocabularyMismatch { folder: folder.to_owned(), tokens, rows }),
            _ => Ok(()),
        }
    }

    /// Number of logits in a row: C, or V in a language model.
    pub fn logits(&self) -> usize {
        if self.language.is_some() { self.vocab_size } else { self.head.logits() }
    }

    /// Makes room for a vocabulary of at least `tokens` tokens.
    pub fn grow_vocabulary(&mut self, tokens: usize) {
        if tokens > self.vocab_size {
            self.vocab_size = tokens;
            self.raw.insert("vocab_size".into(), tokens.into());
        }
    }

    /// Replaces the head's pooling. Anything but the family's own is followed by dropout and one linear layer.
    pub fn set_pooling(&mut self, pooling: HeadPooling) {
        if pooling != self.head.pooling {
            self.head = HeadConfig { pooling, ..self.head.of_our_own() };
        }
    }

    /// Lets the classifier read so many numbers of each text beside the pooled vector. No family's own head does.
    pub fn set_features(&mut self, features: usize) {
        if features != self.head.features {
            self.head = HeadConfig { features, ..self.head.of_our_own() };
        }
    }

    /// Uses only the first `layers` blocks, or all where there are no more.
    pub fn keep_layers(&mut self, layers: usize) {
        self.num_hidden_layers = self.num_hidden_layers.min(layers);
        self.raw.insert(self.family.spec().layers.into(), self.num_hidden_layers.into());
        if let Some(Value::Array(types)) = self.raw.get_mut("layer_types") {
            types.truncate(layers);
        }
    }

    /// Sets every dropout of the backbone to one rate.
    pub fn set_backbone_dropout(&mut self, rate: f64) {
        self.dropout = DropoutRates { embedding: rate, residual: rate, attention: rate };
    }

    /// Sets the dropouts of the head to one rate; a family's own head without dropout (GPT-2) gains one.
    pub fn set_head_dropout(&mut self, rate: f64) {
        self.head.dropout = rate;
        if self.head.pooled_dropout > 0.0 {
            self.head.pooled_dropout = rate;
        }
    }
}
