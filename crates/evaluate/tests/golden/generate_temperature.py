"""Writes temperature.json: temperatures that SciPy's bounded search finds, on the same likelihood.

    pip install scipy==1.17.1 numpy
    python generate_temperature.py

The likelihood is written out here a second time, from the description in `temperature.rs`: the labels, and ten texts more
whose labels are as likely as the model says.
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, softmax


def rows(matrix):
    return [float(p) for p in matrix.astype(np.float32).ravel()]


def search(loss):
    found = minimize_scalar(lambda u: loss(np.exp(u)), bounds=(-np.log(10), np.log(10)), method="bounded",
                            options={"xatol": 1e-10})
    return float(np.exp(found.x))


def single(random, n, classes, scale):
    logits = random.normal(size=(n, classes)) * 2
    truth = np.array([random.choice(classes, p=softmax(row)) for row in logits])
    p = softmax(logits * scale, axis=1).astype(np.float32)
    logs = np.log(p.astype(np.float64))
    own = softmax(logs, axis=1)

    def loss(temperature):
        moved = log_softmax(logs / temperature, axis=1)
        return -moved[np.arange(n), truth].mean() - 10 / n * (own * moved).sum(1).mean()

    return {"truth": [[int(t)] for t in truth], "probabilities": rows(p), "classes": classes, "temperature": search(loss)}


def multi(random, n, classes, scale):
    logits = random.normal(size=(n, classes)) * 2
    truth = random.random((n, classes)) < 1 / (1 + np.exp(-logits))
    p = (1 / (1 + np.exp(-logits * scale))).astype(np.float32)
    own = p.astype(np.float64)
    z = np.log(own / (1 - own))

    def loss(temperature):
        yes, no = log_expit(z / temperature), log_expit(-z / temperature)
        return -np.where(truth, yes, no).mean() - 10 / n * (own * yes + (1 - own) * no).mean()

    labels = [np.flatnonzero(row).tolist() for row in truth]
    return {"truth": labels, "multi_label": True, "probabilities": rows(p), "classes": classes, "temperature": search(loss)}


def main():
    random = np.random.default_rng(20260311)
    cases = [single(random, 300, 3, 2.5), single(random, 40, 2, 4.0), single(random, 100, 5, 0.4), multi(random, 120, 3, 3.0)]
    path = Path(__file__).with_name("temperature.json")
    path.write_text(json.dumps({"scipy": scipy.__version__, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
