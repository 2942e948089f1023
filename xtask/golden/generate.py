"""Writes tests/golden: tiny random checkpoints with PyTorch's answers.

    python generate.py OUT

For every case a folder with `config.json` and `model.safetensors`, as transformers saves them, and `golden.safetensors`:

    ids [N] i64, starts [S+1] i64      the sequences, one after another
    labels [S] i64 or [S, C] f32       one class a sequence, or a yes and no for each class
    hidden [N, D] f32                  the last hidden state (GPT-2: after the final norm)
    logits [S, C] f32                  what the head says
    loss [1] f64                       the mean over sequences (classes) or over all answers (binary)
    grad.<name> f32                    the gradient of that loss for every parameter
    curve [10] f64                     the loss before each of ten AdamW steps on all sequences
    final.<name> f32                   every parameter after the tenth step

A language model has other answers of its head; see `language.py`. Adapters over some of the models: `adapters.py`.

All of it is computed in f64 from weights that are exact in f32, without dropout; see `exactly.py` for what transformers
would compute in f32 nevertheless. A model without a head has only the
first, second and fourth of these. `losses/losses.json` holds the extras of the loss.
"""

import argparse
import copy
import pathlib
import sys
import zlib

import versions

# Before the packages themselves are loaded, so that a missing one is named and not met in a traceback.
versions.insist_on_pinned()

import torch
import transformers
from safetensors.torch import save_file

import adapters
import exactly
import language
import losses
from cases import cases

LENGTHS = [7, 1, 17, 2, 12]
STEPS = 10
RATE = 5e-3
WEIGHT_DECAY = 0.01
FIRST_PLAIN_ID = 3
LAST_PLAIN_ID = 50


def seeded(text):
    """A generator that depends on a text alone, so that no tensor depends on the order of making."""
    return torch.Generator().manual_seed(zlib.crc32(text.encode()))


def randomise(model, case):
    """Gives every parameter random values; gains lie around 1, and no bias is left at zero."""
    origin = case.same_weights_as or case.name
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=seeded(f"{origin}/{name}"))
            is_gain = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if is_gain else 0.25 * noise)


def sequences(case):
    """Random ids that are never the padding id, because the padded check must not change what they mean."""
    generator = seeded(f"{case.name}/ids")
    return [torch.randint(FIRST_PLAIN_ID, LAST_PLAIN_ID, (length,), generator=generator) for length in LENGTHS]


def random_labels(case):
    generator = seeded(f"{case.name}/labels")
    if case.is_binary_loss:
        return torch.randint(2, (len(LENGTHS), case.classes), generator=generator).float()
    return torch.randint(case.classes, (len(LENGTHS),), generator=generator)


def backbone(model):
    return model.base_model


def hidden_states(model, texts):
    """[N, D]: the last hidden states of the sequences, run one by one."""
    return torch.cat([exactly.run(backbone(model), input_ids=ids[None]).last_hidden_state[0] for ids in texts])


def logits_one_by_one(model, texts):
    return torch.cat([exactly.run(model, input_ids=ids[None]).logits for ids in texts])


def padded(texts, pad_id):
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=pad_id)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(ids) for ids in texts], batch_first=True)
    return {"input_ids": ids, "attention_mask": mask}


def insist_on_same_when_padded(model, texts, logits, labels, loss):
    """One by one and padded with a mask are the same function, and our loss is the one transformers computes."""
    target = labels if labels.dtype == torch.int64 else labels.double()
    output = exactly.run(model, **padded(texts, model.config.pad_token_id), labels=target)
    torch.testing.assert_close(output.logits, logits, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(output.loss, loss, rtol=1e-9, atol=1e-11)


def insist_on_double_precision(model, loss_of):
    """A central difference along the gradient agrees to a precision that no f32 inside the model would allow."""
    gradient = {name: parameter.grad.clone() for name, parameter in trained(model)}
    square = sum((g * g).sum() for g in gradient.values()).item()
    step = 1e-5 / square**0.5
    ends = []
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for name, parameter in trained(moved):
                parameter.add_(sign * step * gradient[name])
            ends.append(loss_of(moved).item())
    slope = (ends[0] - ends[1]) / (2 * step)
    if abs(slope - square) > 1e-6 * square:
        raise SystemExit(f"the gradient is not the slope of the loss: {square} against {slope}")


def trained(model):
    """Names and parameters, but for those that an adapter leaves as they are."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def mean_loss(logits, labels):
    if labels.dtype == torch.int64:
        return torch.nn.functional.cross_entropy(logits, labels)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.double())


def optimiser(model):
    """AdamW that decays matrices and leaves biases and norms alone."""
    parameters = [parameter for _, parameter in trained(model)]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)


def train(model, loss_of):
    """[STEPS]: the loss before each step; the model is left as the last step made it."""
    adamw = optimiser(model)
    curve = []
    for _ in range(STEPS):
        loss = loss_of(model)
        curve.append(loss.item())
        adamw.zero_grad()
        loss.backward()
        adamw.step()
    return torch.tensor(curve, dtype=torch.float64)


def answers_of_head(model, texts, labels):
    """Labels, logits, and what comes of their loss."""
    loss_of = lambda model: mean_loss(logits_one_by_one(model, texts), labels)
    logits = logits_one_by_one(model, texts)
    insist_on_same_when_padded(model, texts, logits, labels, mean_loss(logits, labels))
    return {"labels": labels, "logits": logits.detach().float(), **answers_of_loss(model, loss_of)}


def answers_of_loss(model, loss_of):
    """Loss, gradients, the curve and the parameters at its end."""
    loss = loss_of(model)
    loss.backward()
    without = [name for name, parameter in trained(model) if parameter.grad is None]
    if without:
        raise SystemExit(f"parameters without a gradient: {without}")
    insist_on_double_precision(model, loss_of)
    answers = {"loss": loss.detach()[None]}
    answers.update({f"grad.{name}": parameter.grad.float() for name, parameter in trained(model)})
    answers["curve"] = train(model, loss_of)
    answers.update({f"final.{name}": parameter.detach().float() for name, parameter in trained(model)})
    return answers


def texts_as_answers(texts):
    ends = torch.tensor(LENGTHS).cumsum(0)
    return {"ids": torch.cat(texts), "starts": torch.cat([torch.zeros(1, dtype=torch.int64), ends])}


def answers(model, case):
    model = exactly.in_double(model)
    texts = sequences(case)
    found = {**texts_as_answers(texts), "hidden": hidden_states(model, texts).detach().float()}
    if case.writes:
        targets = language.Targets(texts, seeded(f"{case.name}/weights"))
        found.update(language.answers(model, targets))
        found.update(answers_of_loss(model, lambda model: language.mean_loss(model, targets)))
    elif case.has_head:
        found.update(answers_of_head(model, texts, random_labels(case)))
    return {name: value.contiguous().clone() for name, value in found.items()}


def insist_on_reading_back(folder, model):
    """transformers reads what it wrote: no tensor is missing, none is unknown."""
    again, report = type(model).from_pretrained(folder, output_loading_info=True)
    faults = {name: found for name, found in report.items() if found}
    if faults:
        raise SystemExit(f"{folder}: {faults}")
    for name, value in again.state_dict().items():
        if not torch.equal(value, model.state_dict()[name]):
            raise SystemExit(f"{folder}: `{name}` has changed on its way through the file")


def write_case(case, out):
    folder = out / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = case.model(copy.deepcopy(case.config)).eval()
    model.set_attn_implementation("eager")
    randomise(model, case)
    size = {"max_shard_size": case.shard_bytes} if case.shard_bytes else {}
    model.save_pretrained(folder, **size)
    insist_on_reading_back(folder, model)
    if case.shard_bytes:
        return
    found = answers(model, case)
    save_file(found, folder / "golden.safetensors", metadata={"format": "pt"})
    curve = [round(loss, 4) for loss in found["curve"].tolist()] if case.has_head else "no head"
    print(f"{case.name}: {curve}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="the folder to write into")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for case in cases():
        write_case(case, out)
    adapters.write(out, sys.modules[__name__])
    losses.write(out / "losses")


if __name__ == "__main__":
    main()
