"""Writes decision.json: rules that move probabilities, as scikit-learn and NumPy have them.

    pip install scikit-learn==1.9.1 numpy
    python generate_decision.py

Another prior is held to a naive Bayes classifier, whose prior can be set without training again. EM and the search for
offsets are written out here a second time, from the descriptions in `decision.rs`, on top of scikit-learn's scores.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import f1_score
from sklearn.naive_bayes import GaussianNB

OFFSETS = sorted((step * 0.1 for step in range(-50, 51)), key=abs)


def rows(matrix):
    return [float(p) for p in matrix.astype(np.float32).ravel()]


def prior_cases(random):
    for training, target in [([0.55, 0.43, 0.02], [1 / 3] * 3), ([0.2, 0.3, 0.5], [0.6, 0.3, 0.1])]:
        truth = np.concatenate([np.arange(3), random.choice(3, 300, p=training)])
        texts = random.normal(size=(len(truth), 2)) + truth[:, None]
        texts_asked = texts[:40]
        p = GaussianNB(priors=training).fit(texts, truth).predict_proba(texts_asked).astype(np.float32)
        expected = GaussianNB(priors=target).fit(texts, truth).predict_proba(texts_asked)
        yield {"training": training, "target": target, "probabilities": rows(p), "expected": rows(expected)}


def em_case(random):
    training, shifted = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    centres = np.arange(3)[:, None] * 1.5
    learnt = random.choice(3, 4000, p=training)
    model = GaussianNB().fit(centres[learnt] + random.normal(size=(4000, 2)), learnt)
    asked = random.choice(3, 500, p=shifted)
    p = model.predict_proba(centres[asked] + random.normal(size=(500, 2))).astype(np.float32)
    prior = model.class_prior_
    q = prior.copy()
    for _ in range(1000):
        moved = p.astype(np.float64) * (q / prior)
        moved /= moved.sum(1, keepdims=True)
        change = np.abs(moved.mean(0) - q).max()
        q = moved.mean(0)
        if change <= 1e-6:
            break
    return {"training": prior.tolist(), "probabilities": rows(p), "expected": q.tolist(), "true_shares": shifted.tolist()}


def decide(logits, offsets, multi_label):
    if multi_label:
        return (logits + offsets >= 0).astype(int)
    return (logits + offsets).argmax(1)


def fit(truth, p, multi_label):
    p = p.astype(np.float64)
    classes = p.shape[1]
    logits = np.log(p / (1 - p)) if multi_label else np.log(p)
    counts = truth.sum(0) if multi_label else np.bincount(truth, minlength=classes)
    price = 1 / (classes * np.maximum(counts, 1))
    free = [c for c in range(classes) if counts[c] and (multi_label or c != counts.argmax())]
    which = {} if multi_label else {"labels": list(range(classes))}

    def worth(offsets):
        predicted = decide(logits, offsets, multi_label)
        score = f1_score(truth, predicted, average="macro", zero_division=0, **which)
        return score - np.abs(offsets) @ price

    best = np.zeros(classes)
    top = worth(best)
    for _ in range(50):
        before, start = top, best
        for c in free:
            trial = start.copy()
            for offset in OFFSETS:
                trial[c] = offset
                if worth(trial) > top + 1e-9:
                    top, best = worth(trial), trial.copy()
        if top == before:
            break
    value = f1_score(truth, decide(logits, best, multi_label), average="macro", zero_division=0, **which)
    return {"offsets": best.tolist(), "f1_macro": value}


def fit_cases(random):
    for shares, strength in [([0.56, 0.42, 0.02], 2.0), ([0.8, 0.15, 0.05], 1.0), ([0.9, 0.1], 1.5)]:
        classes = len(shares)
        truth = random.choice(classes, 300, p=shares)
        logits = random.normal(size=(300, classes)) + strength * np.eye(classes)[truth] + np.log(shares)
        p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
        yield {"truth": [[int(t)] for t in truth], "probabilities": rows(p), **fit(truth, p, False)}
    truth = (random.random((200, 3)) < [0.5, 0.2, 0.05]).astype(int)
    p = (1 / (1 + np.exp(1.5 - 2.5 * truth - random.normal(size=truth.shape)))).astype(np.float32)
    labels = [np.flatnonzero(row).tolist() for row in truth]
    yield {"truth": labels, "multi_label": True, "probabilities": rows(p), **fit(truth, p, True)}


def main():
    random = np.random.default_rng(20260102)
    out = {
        "scikit-learn": sklearn.__version__,
        "prior": list(prior_cases(random)),
        "em": em_case(random),
        "fit": list(fit_cases(random)),
    }
    path = Path(__file__).with_name("decision.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
