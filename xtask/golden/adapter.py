"""Opens an adapter with PEFT over the base that it names, and compares what it says with the merged model.

    python adapter.py ADAPTER_DIR MODEL_DIR

The logits of random ids must be equal within 1e-5 of the largest. The exit code is 1 when they differ, or when PEFT misses a
tensor of the adapter or does not know one.
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
    parser.add_argument("adapter", help="a folder with adapter_config.json")
    parser.add_argument("model", help="the folder with the merged model")
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
        # PEFT warns of tensors that the adapter lacks.
        warnings.simplefilter("error")
        return PeftModel.from_pretrained(base, folder), config


def main():
    chosen = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    names = AutoConfig.from_pretrained(chosen.model).id2label
    adapted, config = opened(chosen.adapter, names)
    kind = AutoModelForCausalLM if config.task_type == "CAUSAL_LM" else AutoModelForSequenceClassification
    merged, report = kind.from_pretrained(chosen.model, output_loading_info=True)
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
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
