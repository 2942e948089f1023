"""The tiny models whose answers are kept: one entry per folder in tests/golden.

Every case bends something a reader of Hugging Face folders could take for granted: head sizes that are no power of two,
an epsilon that is not the default, an activation other than the family's, a feed-forward width that is not four times the
hidden size, heads that share keys, a window shorter than the sequences.
"""

from dataclasses import dataclass

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    Qwen3Config,
    Qwen3ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

MULTI_LABEL = "multi_label_classification"
NAMES = {3: ["negative", "neutral", "positive"], 1: ["positive"], 4: ["price", "staff", "delivery", "quality"]}


@dataclass(frozen=True)
class Case:
    """A folder to write: the model class, its config, and what is asked of it."""

    name: str
    model: type
    config: object
    same_weights_as: str = ""
    """The case whose random weights are used again."""
    shard_bytes: int = 0
    """When not 0, the weights are saved in shards of at most this many bytes, and no answers are kept."""

    @property
    def has_head(self):
        return self.model is not BertModel

    @property
    def classes(self):
        return self.config.num_labels

    @property
    def is_binary_loss(self):
        return self.config.problem_type == MULTI_LABEL


def labels(count=3):
    names = NAMES[count]
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def gpt2(**changes):
    sizes = {"vocab_size": 52, "n_positions": 36, "n_embd": 16, "n_layer": 2, "n_head": 4}
    special = {"bos_token_id": 51, "eos_token_id": 51, "pad_token_id": 50}
    return GPT2Config(**{**sizes, **special, **labels(), **changes})


def bert_sizes(hidden=20, heads=4):
    return {
        "vocab_size": 56,
        "max_position_embeddings": 40,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": 2,
        "intermediate_size": 36,
    }


def bert(count=3, **changes):
    return BertConfig(**{**bert_sizes(), **labels(count), **changes})


def roberta(kind=RobertaConfig, **changes):
    usual = {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    return kind(**{**bert_sizes(), **usual, **labels(), **changes})


def distilbert():
    sizes = {"vocab_size": 56, "max_position_embeddings": 40, "dim": 16, "n_heads": 2, "n_layers": 3, "hidden_dim": 34}
    return DistilBertConfig(**sizes, **labels())


def decoder(kind, hidden=24, heads=6, shared=2, **changes):
    sizes = {
        "vocab_size": 52,
        "max_position_embeddings": 40,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": shared,
        "num_hidden_layers": 2,
        "intermediate_size": 34,
        "rms_norm_eps": 1e-4,
    }
    special = {"bos_token_id": 51, "eos_token_id": 51, "pad_token_id": 50}
    return kind(**{**sizes, **special, **labels(), **changes})


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # So short that a head of five pairs has some that are kept, some that are mixed and some that are stretched.
    "original_max_position_embeddings": 30,
}


def llama():
    return decoder(LlamaConfig, head_dim=10, rope_parameters=LLAMA3)


def llama_biased():
    linear = {"rope_type": "linear", "rope_theta": 50.0, "factor": 2.5}
    biases = {"attention_bias": True, "mlp_bias": True}
    return decoder(LlamaConfig, 18, 3, 3, rope_parameters=linear, hidden_act="gelu_pytorch_tanh", **biases)


def mistral():
    return decoder(MistralConfig, 20, 2, 1, sliding_window=5)


def qwen2():
    window = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1, "num_hidden_layers": 3}
    return decoder(Qwen2Config, 24, 4, 2, tie_word_embeddings=True, **window)


def qwen3():
    return decoder(Qwen3Config, 20, 4, 2, head_dim=8, tie_word_embeddings=True)


def cases():
    """All cases, in the order in which they are written."""
    bert_classifier = BertForSequenceClassification
    return [
        Case("gpt2", GPT2ForSequenceClassification, gpt2()),
        Case("gpt2-sharded", GPT2ForSequenceClassification, gpt2(), same_weights_as="gpt2", shard_bytes=20_000),
        Case(
            "gpt2-inner",
            GPT2ForSequenceClassification,
            gpt2(n_inner=38, activation_function="gelu", n_embd=18, n_head=3, layer_norm_epsilon=1e-3),
        ),
        Case("bert", bert_classifier, bert()),
        Case(
            "bert-binary",
            bert_classifier,
            bert(1, problem_type=MULTI_LABEL, hidden_act="relu", hidden_size=16, num_attention_heads=2),
        ),
        Case(
            "bert-multilabel",
            bert_classifier,
            bert(4, problem_type=MULTI_LABEL, hidden_act="gelu_new", layer_norm_eps=1e-3, hidden_size=16),
        ),
        Case("bert-backbone", BertModel, bert()),
        Case("distilbert", DistilBertForSequenceClassification, distilbert()),
        Case("roberta", RobertaForSequenceClassification, roberta()),
        Case(
            "xlm-roberta",
            XLMRobertaForSequenceClassification,
            roberta(XLMRobertaConfig, hidden_size=24, num_attention_heads=3, intermediate_size=26, vocab_size=50),
        ),
        Case(
            "roberta-bertweet-like",
            RobertaForSequenceClassification,
            # 18 usable positions after RoBERTa's offset of two: the longest sequence nearly fills them.
            roberta(max_position_embeddings=20, num_hidden_layers=3, hidden_size=16, vocab_size=60),
        ),
        Case("llama", LlamaForSequenceClassification, llama()),
        Case("llama-biased", LlamaForSequenceClassification, llama_biased()),
        Case("mistral", MistralForSequenceClassification, mistral()),
        Case("qwen2", Qwen2ForSequenceClassification, qwen2()),
        Case("qwen3", Qwen3ForSequenceClassification, qwen3()),
    ]
