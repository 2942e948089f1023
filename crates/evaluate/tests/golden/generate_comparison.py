"""Writes comparison.json: two models on the same rows, and results of seeds and folds, by statsmodels and SciPy.

    pip install scipy==1.17.1 statsmodels==0.15.0 scikit-learn==1.9.1 numpy
    python generate_comparison.py

Every case is seeded. The bootstrap of SciPy has 20,000 resamples, so that its ends are sure to about a thousandth.
"""

import json
from pathlib import Path

import numpy as np
import scipy
import statsmodels
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar


def counts():
    """Discordant rows, from none to as many as a large file has."""
    pairs = [(0, 0), (1, 0), (0, 5), (3, 3), (2, 9), (10, 3), (40, 61), (500, 420), (9_800, 10_200), (300_400, 299_000)]
    for first, second in pairs:
        table = [[7, first], [second, 5]]
        ours = stats.binomtest(min(first, second), first + second, 0.5).pvalue if first + second else 1.0
        p_value = float(mcnemar(table, exact=True).pvalue)
        assert abs(p_value - ours) < 1e-9
        yield {"only_first": first, "only_second": second, "p_value": p_value}


def said(random, truth, classes, skill):
    """The answers of a model that is right with probability `skill`."""
    return np.where(random.random(len(truth)) < skill, truth, random.integers(0, classes, len(truth)))


def accuracy(truth, predicted, classes):
    return (truth == predicted).mean(-1)


def macro(truth, predicted, classes):
    scores = []
    for c in range(classes):
        hit = ((truth == c) & (predicted == c)).sum(-1)
        either = (truth == c).sum(-1) + (predicted == c).sum(-1)
        scores.append(2 * hit / np.maximum(either, 1))
    return np.mean(scores, 0)


def bootstrap(truth, first, second, classes, score, seed):
    """The interval of the difference; rows are drawn in pairs, which SciPy does for the numbers of the rows."""

    def difference(rows, axis):
        return score(truth[rows], second[rows], classes) - score(truth[rows], first[rows], classes)

    found = stats.bootstrap(
        (np.arange(len(truth)),), difference, vectorized=True, method="percentile",
        n_resamples=20_000, batch=500, rng=np.random.default_rng(seed),
    )
    return [found.confidence_interval.low.item(), found.confidence_interval.high.item()]


def models(name, seed, rows, shares, skills):
    random = np.random.default_rng(seed)
    classes = len(shares)
    truth = random.choice(classes, rows, p=shares)
    first, second = (said(random, truth, classes, skill) for skill in skills)
    expected = {}
    for metric, score in [("accuracy", accuracy), ("f1_macro", macro)]:
        expected[metric] = {
            "first": float(score(truth, first, classes)),
            "second": float(score(truth, second, classes)),
            "interval": bootstrap(truth, first, second, classes, score, seed),
        }
    # The fast scores above are scikit-learn's.
    scikit_learn = f1_score(truth, first, labels=range(classes), average="macro", zero_division=0)
    assert abs(expected["f1_macro"]["first"] - scikit_learn) < 1e-12
    only_first, only_second = (first == truth) & (second != truth), (first != truth) & (second == truth)
    return {
        "name": name,
        "classes": classes,
        "truth": truth.tolist(),
        "first": first.tolist(),
        "second": second.tolist(),
        "p_value": float(mcnemar([[0, only_first.sum()], [only_second.sum(), 0]], exact=True).pvalue),
        "expected": expected,
    }


def spreads():
    """Student's interval by SciPy; the corrected one is SciPy's with the variance of Nadeau and Bengio."""
    random = np.random.default_rng(3)
    for n, correction in [(2, 0.0), (3, 0.0), (10, 0.0), (5, 1 / 4), (10, 1 / 9), (100, 1 / 9)]:
        values = random.normal(0.8, 0.02, n)
        deviation = values.std(ddof=1)
        scale = np.sqrt(1 / n + correction) * deviation
        low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=scale)
        if correction == 0:
            same = stats.ttest_1samp(values, 0).confidence_interval(0.95)
            assert np.allclose([low, high], [same.low, same.high])
        yield {
            "values": values.tolist(), "test_over_train": correction, "mean": float(values.mean()),
            "standard_deviation": float(deviation), "interval": [float(low), float(high)],
        }


def main():
    out = {
        "scipy": scipy.__version__,
        "statsmodels": statsmodels.__version__,
        "counts": list(counts()),
        "models": [
            models("a clear difference", 1, 300, [0.5, 0.3, 0.2], (0.6, 0.8)),
            models("few rows", 2, 40, [0.5, 0.5], (0.7, 0.75)),
            models("a rare class", 5, 250, [0.55, 0.4, 0.05], (0.8, 0.82)),
        ],
        "spreads": list(spreads()),
    }
    path = Path(__file__).with_name("comparison.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
