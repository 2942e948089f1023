"""Writes the last hidden states of a model, for a comparison on real weights.

    python hidden.py MODEL_DIR TEXTS OUT.json [--max-length N]

TEXTS is JSON lines with `text`, or plain text with one text a line. OUT holds a list of `{"text", "ids", "hidden"}`, hidden
as one row of numbers for each token, computed in f32.
"""

import argparse
import json
import pathlib

import transformers
from transformers import AutoModel, AutoTokenizer

import texts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the model folder")
    parser.add_argument("texts", type=pathlib.Path, help="JSON lines with `text`, or one text a line")
    parser.add_argument("out", type=pathlib.Path, help="the file to write")
    parser.add_argument("--max-length", type=int, help="cut longer texts at this many tokens")
    return parser.parse_args()


def read_texts(path):
    if path.suffix == ".jsonl":
        return [record["text"] for record in texts.read(path)]
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main():
    chosen = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(chosen.model)
    model = AutoModel.from_pretrained(chosen.model).float().eval()
    found = []
    for text in read_texts(chosen.texts):
        ids = texts.encode(tokenizer, text, chosen.max_length)
        hidden = texts.run(model, ids).last_hidden_state[0].tolist()
        found.append({"text": text, "ids": ids, "hidden": hidden})
    chosen.out.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    print(f"{chosen.out}: {len(found)} texts, {sum(len(entry['ids']) for entry in found)} tokens")


if __name__ == "__main__":
    main()
