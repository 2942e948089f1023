"""Fine-tunes a small model with transformers and saves it as people do, so that finetone can be asked to open it.

    python finetune.py LIKE_DIR TEXTS.jsonl OUT_DIR ANSWERS.jsonl

The model has the family, the sizes and the tokenizer of LIKE_DIR, and weights that start at random. Every line of TEXTS.jsonl is
`{"text": …, "label": …}`. ANSWERS.jsonl gets `{"text", "label", "probabilities"}` of each text, the names of the classes in
alphabetical order.
"""

import argparse
import json

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

import texts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("like", help="a model folder whose sizes and tokenizer are used")
    parser.add_argument("texts", help="JSON lines with `text` and `label`")
    parser.add_argument("out", help="the folder to write")
    parser.add_argument("answers", help="the file to write")
    return parser.parse_args()


def fresh_model(like, names):
    """A random model with these classes that has nothing of the folder but its sizes."""
    config = AutoConfig.from_pretrained(like)
    if hasattr(config, "finetone"):
        del config.finetone
    config.problem_type = "single_label_classification"
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    torch.manual_seed(1)
    return AutoModelForSequenceClassification.from_config(config)


def train(model, examples):
    """One pass, text by text."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for ids, label in examples:
        model(input_ids=torch.tensor([ids]), labels=torch.tensor([label])).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.eval()


def main():
    chosen = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    records = texts.read(chosen.texts)
    names = sorted({record["label"] for record in records})
    tokenizer = AutoTokenizer.from_pretrained(chosen.like)
    model = fresh_model(chosen.like, names)
    limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    encoded = [texts.encode(tokenizer, record["text"], limit) for record in records]
    train(model, [(ids, names.index(record["label"])) for ids, record in zip(encoded, records)])
    model.save_pretrained(chosen.out)
    tokenizer.save_pretrained(chosen.out)
    with open(chosen.answers, "w", encoding="utf-8") as answers:
        for ids, record in zip(encoded, records):
            found = texts.probabilities(model.config, texts.run(model, ids).logits[0])
            answer = {"text": record["text"], "label": names[found.index(max(found))], "probabilities": found}
            answers.write(json.dumps(answer, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
