"""Writes LoRA adapters of PEFT for models that are there already, with PyTorch's answers.

For every case a folder with `adapter_config.json` and `adapter_model.safetensors`, as PEFT saves them, and `golden.safetensors`
with what generate.py says of a model: the gradients, and the parameters after ten steps, are those of what PEFT trains, under
the names that it saves them by. `adapter-patterns` has ranks and factors of its own for some layers and other classes than its
base; of it there are the logits alone.
"""

import copy
import json
from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

import exactly
import language
from cases import cases


@dataclass(frozen=True)
class Adapter:
    """A folder to write: the case that it is trained over, and PEFT's settings."""

    name: str
    base: str
    settings: dict
    classes: int = 0
    """When not 0, the base is given a classifier with so many classes, and only the logits are kept."""


def adapters():
    """All cases, in the order in which they are written."""
    patterns = {"rank_pattern": {"value": 5}, "alpha_pattern": {"layer.1.attention.self.value": 9}}
    return [
        Adapter("adapter-bert", "bert", {"r": 3, "lora_alpha": 5, "modules_to_save": ["pooler"]}),
        Adapter("adapter-gpt2", "gpt2", {"r": 2, "lora_alpha": 7, "use_rslora": True, "fan_in_fan_out": True}),
        Adapter("adapter-roberta", "roberta", {"r": 4, "lora_alpha": 4, "target_modules": ["key", "output.dense", "intermediate.dense"]}),
        Adapter("adapter-distilbert", "distilbert", {"r": 1, "lora_alpha": 2, "target_modules": ["q_lin", "v_lin", "lin2"]}),
        Adapter("adapter-llama", "llama", {"r": 3, "lora_alpha": 4, "target_modules": "all-linear"}),
        Adapter("adapter-qwen2", "qwen2-language", {"r": 2, "lora_alpha": 8}),
        Adapter("adapter-patterns", "bert", {"r": 2, "lora_alpha": 3, **patterns}, classes=4),
    ]


def adapted(adapter, base, out, seeded):
    """The base with an adapter whose matrices are both random."""
    classes = {"num_labels": adapter.classes, "ignore_mismatched_sizes": True} if adapter.classes else {}
    model = base.model.from_pretrained(out / adapter.base, **classes).eval()
    model.set_attn_implementation("eager")
    task = "CAUSAL_LM" if base.writes else "SEQ_CLS"
    model = get_peft_model(model, LoraConfig(task_type=task, **adapter.settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or (adapter.classes and "classifier.modules_to_save" in name):
                parameter.copy_(0.25 * torch.randn(parameter.shape, generator=seeded(f"{adapter.name}/{name}")))
    return model


def save(adapter, model, folder):
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # The folder is found from here, and sets have no order.
    config["base_model_name_or_path"] = f"../{adapter.base}"
    for name in ("target_modules", "modules_to_save"):
        config[name] = sorted(config[name]) if config[name] else config[name]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def as_saved(name):
    """The name of a parameter in the file."""
    return name.replace(".default", "").replace(".modules_to_save", "")


def write_adapter(adapter, out, tools):
    folder = out / adapter.name
    folder.mkdir(parents=True, exist_ok=True)
    base = next(case for case in cases() if case.name == adapter.base)
    model = adapted(adapter, base, out, tools.seeded)
    save(adapter, model, folder)
    model, texts = exactly.in_double(model), tools.sequences(base)
    found = tools.texts_as_answers(texts)
    if base.writes:
        targets = language.Targets(texts, tools.seeded(f"{base.name}/weights"))
        found.update(asked=targets.asked, targets=targets.following, weights=targets.weights)
        found["logits"] = language.logits_of_asked(model, targets).detach().float()
        loss_of = lambda model: language.mean_loss(model, targets)
    else:
        found["labels"] = labels = tools.random_labels(base)
        found["logits"] = tools.logits_one_by_one(model, texts).detach().float()
        loss_of = lambda model: tools.mean_loss(tools.logits_one_by_one(model, texts), labels)
    if not adapter.classes:
        found.update(tools.answers_of_loss(copy.deepcopy(model), loss_of))
    found = {as_saved(name): value.contiguous().clone() for name, value in found.items()}
    save_file(found, folder / "golden.safetensors", metadata={"format": "pt"})
    print(f"{adapter.name}: {len(found)} tensors", flush=True)


def write(out, tools):
    """Writes all of them over the models in `out`; `tools` is generate.py."""
    for adapter in adapters():
        write_adapter(adapter, out, tools)
