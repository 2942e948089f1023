"""Writes tiny masked language models of random weights, and masked.json: what transformers says stands at their masked places.

    pip install torch==2.15.0 transformers==5.23.0
    python generate.py

The logits are computed in double precision, sequence by sequence. Sizes, functions and epsilons are none that a reader could
take for granted; of RoBERTa the blocks have another function than the head, which always has gelu.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import BertConfig, BertForMaskedLM, DistilBertConfig, DistilBertForMaskedLM
from transformers import RobertaConfig, RobertaForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

HERE = Path(__file__).resolve().parent
MASK = 4
SEQUENCES = [[5, 17, MASK, 29, 8, MASK, 6], [5, MASK, 6], [5, 33, 12, 40, MASK, MASK, 21, 9, 30, 6]]

SIZES = {
    "vocab_size": 42,
    "max_position_embeddings": 20,
    "hidden_size": 12,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "intermediate_size": 18,
}
ROBERTA = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
DISTILBERT = {"vocab_size": 42, "max_position_embeddings": 20, "dim": 12, "n_heads": 2, "n_layers": 2, "hidden_dim": 22}
CASES = {
    "bert": (BertForMaskedLM, BertConfig(**SIZES, hidden_act="gelu_new", layer_norm_eps=1e-3)),
    "bert-untied": (BertForMaskedLM, BertConfig(**SIZES, hidden_act="relu", tie_word_embeddings=False)),
    "roberta": (RobertaForMaskedLM, RobertaConfig(**ROBERTA, hidden_act="relu")),
    "xlm-roberta": (XLMRobertaForMaskedLM, XLMRobertaConfig(**ROBERTA)),
    "distilbert": (DistilBertForMaskedLM, DistilBertConfig(**DISTILBERT)),
}


def model(number, kind, config):
    """The model with every parameter random, biases and gains too."""
    made = kind(config).eval()
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return made


def logits(model, ids):
    """Of each masked place of a sequence."""
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits[0]
    return [found[place].tolist() for place, token in enumerate(ids) if token == MASK]


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    cases = []
    for number, (name, (kind, config)) in enumerate(CASES.items()):
        model(number, kind, config).save_pretrained(HERE / name)
        opened = kind.from_pretrained(HERE / name).double().eval()
        cases.append({"model": name, "logits": [row for ids in SEQUENCES for row in logits(opened, ids)]})
    written = {"transformers": transformers.__version__, "mask": MASK, "sequences": SEQUENCES, "cases": cases}
    (HERE / "masked.json").write_text(json.dumps(written) + "\n")


if __name__ == "__main__":
    main()
