"""Writes metrics.json: random predictions and what scikit-learn says about them.

    pip install scikit-learn==1.9.1 numpy
    python generate.py

Every case is seeded. The cases are small on purpose, so that ties and empty classes are common.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

BINS = 15


def calibration_error(confidence, right):
    """Bins [i/15, (i+1)/15), the last one closed; scikit-learn has no such function."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(BINS)]
    return sum(gaps) / len(confidence)


def area(truth, score):
    return float(roc_auc_score(truth, score)) if 0 < truth.sum() < len(truth) else None


def mean_area(areas):
    return None if None in areas else float(np.mean(areas))


def scores(truth, predicted, averages, **which):
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, zero_division=0, **which
    )
    out = {
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
    }
    for average in averages:
        values = precision_recall_fscore_support(
            truth, predicted, zero_division=0, average=average, **which
        )
        for name, value in zip(("precision", "recall", "f1"), values):
            out[f"{name}_{average}"] = float(value)
    return out


def single(name, truth, probabilities):
    classes = probabilities.shape[1]
    labels = list(range(classes))
    p = probabilities.astype(np.float64)
    predicted, confidence = p.argmax(1), p.max(1)
    onehot = np.eye(classes)[truth]
    expected = scores(truth, predicted, ["macro", "weighted", "micro"], labels=labels)
    by_class = [area(onehot[:, c], p[:, c]) for c in labels]
    expected |= {
        "accuracy": accuracy_score(truth, predicted),
        "confusion": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "log_loss": log_loss(truth, y_proba=p, labels=labels),
        "brier": brier_score_loss(truth, p, labels=labels),
        "mcc": float(matthews_corrcoef(truth, predicted)),
        "ece": calibration_error(confidence, predicted == truth),
        "roc_auc": by_class[1] if classes == 2 else mean_area(by_class),
        "roc_auc_by_class": by_class,
    }
    return case(name, [[int(t)] for t in truth], False, probabilities, expected)


def multi(name, truth, probabilities):
    p = probabilities.astype(np.float64)
    predicted = (p >= 0.5).astype(int)
    by_class = [area(truth[:, c], p[:, c]) for c in range(p.shape[1])]
    expected = scores(truth, predicted, ["macro", "weighted", "micro"])
    expected |= {
        "accuracy": accuracy_score(truth, predicted),
        "confusion": multilabel_confusion_matrix(truth, predicted).tolist(),
        "log_loss": log_loss(truth.ravel(), y_proba=p.ravel(), labels=[0, 1]),
        "brier": brier_score_loss(truth.ravel(), p.ravel()),
        "ece": calibration_error(np.where(predicted == 1, p, 1 - p).ravel(), (predicted == truth).ravel()),
        "roc_auc": mean_area(by_class),
        "roc_auc_by_class": by_class,
    }
    rows = [np.flatnonzero(row).tolist() for row in truth]
    return case(name, rows, True, probabilities, expected)


def case(name, truth, multi_label, probabilities, expected):
    return {
        "name": name,
        "multi_label": multi_label,
        "classes": probabilities.shape[1],
        "truth": truth,
        "probabilities": [float(p) for p in probabilities.ravel()],
        "expected": expected,
    }


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return (e / e.sum(1, keepdims=True)).astype(np.float32)


def informed(random, truth, classes, strength):
    return softmax(random.normal(size=(len(truth), classes)) + strength * np.eye(classes)[truth])


def cases():
    random = np.random.default_rng(20260101)
    truth = random.integers(0, 2, 60)
    yield single("binary", truth, informed(random, truth, 2, 1.0))
    truth = random.integers(0, 3, 80)
    yield single("three classes", truth, informed(random, truth, 3, 1.5))
    truth = random.choice(4, 90, p=[0.9, 0.05, 0.03, 0.02])
    yield single("imbalanced", truth, informed(random, truth, 4, 0.7))
    truth = random.choice([0, 2], 40)
    yield single("a class nobody has", truth, informed(random, truth, 3, 0.5))
    truth = random.integers(0, 2, 30)
    always = np.tile(np.float32([0.75, 0.25]), (30, 1))
    yield single("a class never predicted", truth, always)
    truth = random.integers(0, 3, 50)
    coarse = np.float32([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]])
    yield single("ties and certainties", truth, coarse[random.integers(0, 4, 50)])
    truth = np.zeros(12, int)
    yield single("one class only", truth, informed(random, truth, 2, 1.0))
    truth = random.integers(0, 3, 20)
    yield single("perfect", truth, np.eye(3, dtype=np.float32)[truth])
    truth = (random.random((70, 4)) < [0.5, 0.3, 0.1, 0.6]).astype(int)
    logits = random.normal(size=truth.shape) + 2.0 * truth - 1.0
    yield multi("several labels", truth, (1 / (1 + np.exp(-logits))).astype(np.float32))
    truth[:, 2] = 0
    coarse = random.integers(0, 5, truth.shape) / 4
    yield multi("several labels, one absent, ties", truth, coarse.astype(np.float32))


def main():
    warnings.simplefilter("ignore")
    out = {"scikit-learn": sklearn.__version__, "cases": list(cases())}
    path = Path(__file__).with_name("metrics.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
