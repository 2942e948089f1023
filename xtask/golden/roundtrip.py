"""Opens an exported model folder with transformers and compares what it says with what finetone said.

    python roundtrip.py MODEL_DIR TEXTS.jsonl [--labels negative neutral positive] [--max-length N]

Every line of TEXTS.jsonl is `{"text": …, "ids": […], "logits": […]}`, or has `probabilities` instead of the logits. The ids must
be equal, the numbers within 1e-4, and the names in `id2label` those of `--labels`, in order. The exit code is 1 when anything
differs.
"""

import argparse
import sys

import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import texts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the exported folder")
    parser.add_argument("texts", help="JSON lines with `text`, `ids` and `logits` or `probabilities`")
    parser.add_argument("--labels", nargs="+", help="the names of the classes, in order")
    parser.add_argument("--max-length", type=int, help="cut longer texts at this many tokens")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference of a number")
    return parser.parse_args()


def loading_faults(report):
    """Tensors that transformers had to invent, or did not know what to do with."""
    return [f"{kind}: {sorted(map(str, found))}" for kind, found in report.items() if found]


def label_faults(config, labels):
    names = [config.id2label[index] for index in range(config.num_labels)]
    if labels is None or names == labels:
        return []
    return [f"id2label is {names}, expected {labels}"]


def worst_difference(model, records):
    """The largest difference between two numbers, and the line it is on; a wrong number of numbers is infinitely wrong."""
    worst, where = -1.0, 0
    for line, record in enumerate(records, start=1):
        logits = texts.run(model, record["ids"]).logits[0]
        ours = record["logits"] if "logits" in record else record["probabilities"]
        theirs = logits.tolist() if "logits" in record else texts.probabilities(model.config, logits)
        difference = max(abs(a - b) for a, b in zip(theirs, ours)) if len(theirs) == len(ours) else float("inf")
        if not difference <= worst:  # a NaN is the worst of all
            worst, where = difference, line
    return worst, where


def id_faults(tokenizer, records, limit):
    faults = []
    for line, record in enumerate(records, start=1):
        ids = texts.encode(tokenizer, record["text"], limit)
        if ids != record["ids"]:
            faults.append(f"line {line}: the ids of {record['text']!r} are {ids}, not {record['ids']}")
    return faults


def main():
    chosen = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    records = texts.read(chosen.texts)
    tokenizer = AutoTokenizer.from_pretrained(chosen.model)
    model, report = AutoModelForSequenceClassification.from_pretrained(chosen.model, output_loading_info=True)
    faults = loading_faults(report) + label_faults(model.config, chosen.labels)
    faults += id_faults(tokenizer, records, chosen.max_length)
    worst, where = worst_difference(model.float().eval(), records)
    if not worst <= chosen.tolerance:
        faults.append(f"line {where}: the numbers differ by {worst:.3g}, allowed are {chosen.tolerance:g}")
    print(f"{len(records)} texts, the numbers differ by {worst:.3g} at most (line {where})")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
