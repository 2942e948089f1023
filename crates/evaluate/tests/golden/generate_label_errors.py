"""Writes label_errors.json: the confident joint and the suspected labels that cleanlab finds.

    pip install cleanlab==2.9.0
    python generate_label_errors.py
"""

import json
from pathlib import Path

import cleanlab
import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues


def case(random, rows, shares, noise, sharpness):
    classes = len(shares)
    truth = np.concatenate([np.arange(classes).repeat(2), random.choice(classes, rows, p=shares)])
    logits = random.normal(size=(len(truth), classes)) + sharpness * np.eye(classes)[truth]
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    flipped = random.random(len(truth)) < noise
    labels = np.where(flipped, (truth + random.integers(1, classes, len(truth))) % classes, truth)
    exact = p.astype(np.float64)
    joint = compute_confident_joint(labels, exact, calibrate=False)
    issues = find_label_issues(
        labels, exact, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "probabilities": [float(v) for v in p.ravel()],
        "joint": joint.tolist(),
        "suspects": [int(row) for row in issues],
    }


def main():
    random = np.random.default_rng(20260415)
    cases = [
        case(random, 300, [0.5, 0.5], 0.1, 3.0),
        case(random, 400, [0.6, 0.3, 0.1], 0.08, 3.5),
        case(random, 250, [0.25] * 4, 0.2, 2.0),
    ]
    path = Path(__file__).with_name("label_errors.json")
    path.write_text(json.dumps({"cleanlab": cleanlab.__version__, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
