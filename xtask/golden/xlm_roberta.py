"""Writes a tiny XLM-R as transformers does: random weights, and a Unigram tokenizer of the texts in some CSV files.

    python xlm_roberta.py OUT_DIR FILE.csv ...

The texts are all cells of the files. Pieces of words, pre-tokenizer, decoder and special tokens are those of XLM-R; only its
table of compatible characters, which SentencePiece applies before anything else, is left out.
"""

import csv
import json
import sys

import torch
from tokenizers import SentencePieceUnigramTokenizer
from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def texts(paths):
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            start = file.readline()
            yield from (cell for row in csv.reader(file, delimiter=";" if ";" in start else ",") for cell in row)


def tokenizer(paths):
    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        texts(paths), vocab_size=700, show_progress=False, special_tokens=SPECIAL, unk_token="<unk>"
    )
    pieces = [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"]]
    assert [piece for piece, _ in pieces[:4]] == SPECIAL, pieces[:4]
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=62)


def main():
    folder, *paths = sys.argv[1:]
    words = tokenizer(paths)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=64,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        # Fresh weights are small, and so would be every difference between two answers.
        initializer_range=0.3,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    main()
