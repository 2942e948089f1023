"""Gives a model a classification head of two classes and saves it, for comparisons of speed: python classifier.py MODEL OUT."""

import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

source, out = sys.argv[1:]
torch.manual_seed(0)
names = ["negative", "positive"]
model = AutoModelForSequenceClassification.from_pretrained(
    source, id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
)
model.save_pretrained(out)
AutoTokenizer.from_pretrained(source).save_pretrained(out)
