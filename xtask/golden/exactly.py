"""A model of transformers in f64 throughout.

Whatever the type of its weights, transformers computes the angles of rotary positions, root mean squares and the softmax of
decoders in f32: it says `torch.float32` there. Here these words mean f64, so that the answers are exact and a central
difference can check the gradients.
"""

import contextlib
import copy
from unittest import mock

import torch


@contextlib.contextmanager
def doubles():
    names = [mock.patch.object(torch, name, torch.float64) for name in ("float", "float32")]
    with names[0], names[1]:
        yield


def in_double(model):
    """A copy in f64, with frequencies of rotary positions that were never rounded to f32."""
    model = copy.deepcopy(model).double().eval()
    for module in model.modules():
        if hasattr(module, "inv_freq"):
            with doubles():
                module.inv_freq = type(module)(module.config).inv_freq
            if module.inv_freq.dtype != torch.float64:
                raise SystemExit(f"the frequencies are {module.inv_freq.dtype}")
    return model


def run(model, **inputs):
    with doubles():
        return model(**inputs)
