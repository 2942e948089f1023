"""Writes folds.json: the sizes of the folds of scikit-learn's StratifiedKFold, by class.

    pip install scikit-learn==1.9.1 numpy
    python generate.py

Only sizes are compared: which of equal rows goes where is chance.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.model_selection import StratifiedKFold

CASES = [
    ([542, 411, 17], 5),
    ([542, 411, 17], 10),
    ([30, 30, 30], 7),
    ([7, 9, 11, 13], 3),
    ([5, 5], 5),
    ([101, 4], 2),
    ([23], 4),
]


def sizes(counts, folds):
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(7).shuffle(labels)
    splits = StratifiedKFold(folds, shuffle=True, random_state=0).split(np.zeros(len(labels)), labels)
    table = [[int((labels[held] == c).sum()) for c in range(len(counts))] for _, held in splits]
    return {
        "counts": counts,
        "folds": folds,
        "by_class": [sorted(column) for column in zip(*table)],
        "total": sorted(map(sum, table)),
    }


def main():
    golden = {"scikit-learn": sklearn.__version__, "cases": [sizes(counts, folds) for counts, folds in CASES]}
    Path(__file__).with_name("folds.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
