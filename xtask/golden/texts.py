"""Reading texts and running a model on them one by one, for the scripts that open whole model folders."""

import json

import torch


def read(path):
    """The records of a JSON-lines file; each has at least `text`."""
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines if line.strip()]
    if not records:
        raise SystemExit(f"error: {path} holds no texts")
    return records


def encode(tokenizer, text, limit):
    """The ids of one text with its special tokens, cut at `limit`."""
    return tokenizer(text, truncation=limit is not None, max_length=limit)["input_ids"]


def run(model, ids):
    """What the model returns for one sequence, never padded."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]))


def probabilities(config, logits):
    """What the logits of one text mean: a softmax, or a yes and no for each label; one label is two classes."""
    if config.problem_type != "multi_label_classification":
        return logits.softmax(-1).tolist()
    yes = logits.sigmoid().tolist()
    return yes if len(yes) > 1 else [1 - yes[0], yes[0]]
