"""Writes drift.json: two samples of texts as numbers, and what SciPy and scikit-learn say about them.

    pip install scipy==1.17.1 scikit-learn==1.9.1 numpy
    python generate_drift.py
"""

import json
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.stats import chi2_contingency, entropy, ks_2samp, kstwobign, mannwhitneyu
from sklearn.metrics import mutual_info_score

LEAST_EXPECTED = 5


def kolmogorov_smirnov(reference, fresh):
    found = ks_2samp(reference, fresh, method="exact")
    n, m = len(reference), len(fresh)
    return {
        "reference": [float(x) for x in reference],
        "fresh": [float(x) for x in fresh],
        "distance": float(found.statistic),
        "p_exact": float(found.pvalue),
        "p_limit": float(kstwobign.sf(found.statistic * np.sqrt(n * m / (n + m)))),
    }


def shares(reference, fresh):
    """Rare classes are put together by hand: `table` has the columns that remain."""
    a, b = np.array(reference), np.array(fresh)
    table = np.array([a, b])
    table = table[:, table.sum(0) > 0]
    table = table[:, np.argsort(-table.sum(0), kind="stable")]
    smaller = min(a.sum(), b.sum()) / (a.sum() + b.sum())
    while table.shape[1] > 1 and table[:, -1].sum() * smaller < LEAST_EXPECTED:
        table = np.column_stack([table[:, :-2], table[:, -2] + table[:, -1]])
    p = chi2_contingency(table, correction=False).pvalue if table.shape[1] > 1 else 1.0
    distance = np.abs(a / a.sum() - b / b.sum()).sum() / 2
    return {"reference": reference, "fresh": fresh, "distance": float(distance), "p_value": float(p)}


def telling_apart(halves):
    areas, ps = [], []
    for half in halves:
        found = mannwhitneyu(half["fresh"], half["reference"], alternative="greater", method="asymptotic")
        areas.append(found.statistic / (len(half["fresh"]) * len(half["reference"])))
        ps.append(found.pvalue)
    effect = max(0.0, 2 * float(np.mean(areas)) - 1)
    return {"halves": halves, "effect": effect, "p_value": min(1.0, len(ps) * float(min(ps)))}


def information(texts, is_fresh):
    words = [w for text in texts for w in text]
    side = [f for text, f in zip(texts, is_fresh) for _ in text]
    return mutual_info_score(words, side) / entropy(np.bincount(side))


def vocabulary(random, reference, fresh, permutations=9_999):
    texts = reference + fresh
    is_fresh = np.array([0] * len(reference) + [1] * len(fresh))
    observed = information(texts, is_fresh)
    by_chance = np.array([information(texts, random.permutation(is_fresh)) for _ in range(permutations)])
    mean = by_chance.mean()
    return {
        "reference": reference,
        "fresh": fresh,
        "information": float(observed),
        "effect": max(0.0, float((observed - mean) / (1 - mean))),
        "p_value": float((1 + (by_chance >= observed - 1e-12).sum()) / (1 + permutations)),
    }


def texts(random, count, weights):
    weights = np.array(weights) / np.sum(weights)
    draw = lambda: random.choice(len(weights), 6, replace=False, p=weights)
    return [sorted(int(w) for w in draw()) for _ in range(count)]


def main():
    random = np.random.default_rng(20260301)
    normal = lambda n, shift: np.round(random.normal(shift, 1, n), 3)
    flat, tilted = np.ones(30), np.linspace(1, 8, 30)
    halves = [
        {"reference": normal(40, 0).tolist(), "fresh": normal(30, 0.5).tolist()},
        {"reference": np.round(normal(35, 0), 1).tolist(), "fresh": np.round(normal(45, 0.4), 1).tolist()},
    ]
    out = {
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "kolmogorov_smirnov": [
            kolmogorov_smirnov(normal(40, 0), normal(30, 0.2)),
            kolmogorov_smirnov(normal(70, 0), normal(90, 0.7)),
            kolmogorov_smirnov(random.integers(3, 12, 80), random.integers(3, 14, 60)),
            kolmogorov_smirnov(normal(150, 0), normal(120, 0.1)),
            kolmogorov_smirnov(random.integers(3, 20, 200), random.integers(5, 22, 100)),
        ],
        "shares": [
            shares([50, 30, 20], [20, 25, 15]),
            shares([542, 411, 17], [30, 12, 1]),
            shares([10, 10], [9, 12]),
            shares([400, 100, 3, 2], [300, 300, 1, 0]),
            shares([3, 2], [1, 2]),
            shares([100, 0, 50], [80, 0, 30]),
        ],
        "telling_apart": telling_apart(halves),
        "vocabulary": [
            vocabulary(random, texts(random, 40, flat), texts(random, 30, flat)),
            vocabulary(random, texts(random, 60, flat), texts(random, 40, tilted)),
        ],
    }
    path = Path(__file__).with_name("drift.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    for case in out["vocabulary"]:
        print(case["information"], case["effect"], case["p_value"])


if __name__ == "__main__":
    main()
