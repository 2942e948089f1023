"""Losses and their gradients on random logits, for the extras of training: weights, smoothing, focal factor.

The formulas, with p = softmax(logits), smoothing e, weights w and focal exponent g:

    classes:  (1 - p_y)^g * -(1 - e) w_y ln p_y  -  e / C * sum_c w_c ln p_c
    binary:   sum_c w_c (1 - q_c)^g * BCE(logit_c, t_c (1 - e) + e / 2),  q_c the probability of the unsmoothed answer

Without the focal factor the first is torch's own `cross_entropy(weight=, label_smoothing=)`; the script insists on it.
"""

import itertools
import json

import torch
from torch.nn import functional

SMOOTHINGS = [0.0, 0.1]
GAMMAS = [0.0, 1.0, 2.5]
ROWS = 6


def class_losses(logits, targets, weights, smoothing, gamma):
    log_p = functional.log_softmax(logits, dim=-1)
    log_p_true = log_p.gather(-1, targets[:, None])[:, 0]
    focal = (1 - log_p_true.exp()) ** gamma
    hard = focal * -(1 - smoothing) * weights[targets] * log_p_true
    soft = -smoothing / logits.shape[-1] * (weights * log_p).sum(-1)
    return hard + soft


def binary_losses(logits, targets, weights, smoothing, gamma):
    smoothed = targets * (1 - smoothing) + smoothing / 2
    plain = functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
    probability = torch.sigmoid(logits)
    answer = targets * probability + (1 - targets) * (1 - probability)
    return (weights * (1 - answer) ** gamma * plain).sum(-1)


def torch_class_losses(logits, targets, weights, smoothing):
    return functional.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing, reduction="none")


def insist_on_torch(losses, settings, logits, targets, weights):
    """Our formula without the focal factor is torch's."""
    if settings["focal_gamma"] != 0 or settings["targets"] != "classes":
        return
    expected = torch_class_losses(logits, targets, weights, settings["smoothing"])
    torch.testing.assert_close(losses, expected, rtol=1e-13, atol=1e-13)


def record(settings, logits, targets, weights):
    """One entry of the file: settings, inputs, the loss of each row, and the gradient of their sum."""
    logits = logits.clone().requires_grad_()
    formula = class_losses if settings["targets"] == "classes" else binary_losses
    losses = formula(logits, targets, weights, settings["smoothing"], settings["focal_gamma"])
    insist_on_torch(losses, settings, logits, targets, weights)
    losses.sum().backward()
    numbers = {"logits": logits.detach(), "labels": targets, "losses": losses.detach(), "gradient": logits.grad}
    return {**settings, **{name: value.tolist() for name, value in numbers.items()}}


def inputs(kind, classes, generator):
    logits = 2 * torch.randn(ROWS, classes, generator=generator, dtype=torch.float64)
    if kind == "classes":
        return logits, torch.randint(classes, (ROWS,), generator=generator)
    return logits, torch.randint(2, (ROWS, classes), generator=generator).double()


def entries():
    generator = torch.Generator().manual_seed(20)
    choices = itertools.product([("classes", 2), ("classes", 5), ("binary", 1), ("binary", 4)], [False, True], SMOOTHINGS, GAMMAS)
    for (kind, classes), weighted, smoothing, gamma in choices:
        logits, targets = inputs(kind, classes, generator)
        weights = torch.rand(classes, generator=generator, dtype=torch.float64) + 0.5
        if not weighted:
            weights = torch.ones_like(weights)
        settings = {
            "targets": kind,
            "smoothing": smoothing,
            "focal_gamma": gamma,
            "class_weights": weights.tolist() if weighted else None,
        }
        yield record(settings, logits, targets, weights)


def write(folder):
    """Writes `losses.json` into `folder`, one entry a line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(entry) for entry in entries())
    (folder / "losses.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
