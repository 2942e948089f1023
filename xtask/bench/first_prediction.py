"""Loads a classifier and judges one text, which is all that is timed: python first_prediction.py MODEL TEXT THREADS."""

import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, text, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
with torch.inference_mode():
    print(model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1))
