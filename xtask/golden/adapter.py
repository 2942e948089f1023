"""Opens an adapter with PEFT over the base that it names, and compares what it says with the merged model.

    python adapter.py ADAPTER_DIR MODEL_DIR [ADAPTER_DIR MODEL_DIR …]

The logits of random ids must be equal within 1e-5 of the largest. The exit code is 1 when they differ, or when PEFT misses a
tensor of the adapter.
"""

import argparse
import sys
import warnings

import torch
import transformers
from peft import PeftConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

import texts

LENGTHS = [1, 5, 12]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="a folder with adapter_config.json, and one with the merged model; and so on")
    return parser.parse_args()


def opened(folder, names):
    """The base that the adapter names, with the adapter and as many classes as it was trained with."""
    config = PeftConfig.from_pretrained(folder)
    if config.task_type == "CAUSAL_LM":
        base = AutoModelForCausalLM.from_pretrained(config.base_model_name_or_path)
    else:
        base = AutoModelForSequenceClassification.from_pretrained(
            config.base_model_name_or_path, num_labels=len(names), ignore_mismatched_sizes=True
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")
        return PeftModel.from_pretrained(base, folder), config


def compare(folder, model):
    """What is wrong with an adapter beside the merged model."""
    names = AutoConfig.from_pretrained(model).id2label
    adapted, config = opened(folder, names)
    kind = AutoModelForCausalLM if config.task_type == "CAUSAL_LM" else AutoModelForSequenceClassification
    merged, report = kind.from_pretrained(model, output_loading_info=True)
    faults = [f"{kind}: {sorted(map(str, found))}" for kind, found in report.items() if found]
    generator = torch.Generator().manual_seed(1)
    worst, largest, moved = 0.0, 0.0, 0.0
    for length in LENGTHS:
        ids = torch.randint(3, merged.config.vocab_size, (length,), generator=generator).tolist()
        theirs, ours = texts.run(adapted.eval(), ids).logits, texts.run(merged.eval(), ids).logits
        with adapted.disable_adapter():
            moved = max(moved, (texts.run(adapted, ids).logits - ours).abs().max().item())
        worst = max(worst, (theirs - ours).abs().max().item())
        largest = max(largest, ours.abs().max().item())
    if not worst <= 1e-5 * max(1.0, largest):
        faults.append(f"the logits differ by {worst:.3g}")
    if not moved > 1e-3:
        faults.append(f"the adapter moves the logits by {moved:.3g} only: the comparison says nothing")
    print(f"{sorted(config.target_modules)}: the logits differ by {worst:.3g}, the adapter moves them by {moved:.3g}")
    return faults


def main():
    folders = arguments().folders
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    faults = [f"{adapter}: {fault}" for adapter, model in zip(folders[::2], folders[1::2]) for fault in compare(adapter, model)]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
