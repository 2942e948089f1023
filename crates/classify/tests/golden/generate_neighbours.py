"""Writes neighbours.json: random vectors with labels, and what scikit-learn says about the nearest of them.

    pip install scikit-learn==1.9.1 numpy
    python generate_neighbours.py

Every case is seeded. The vectors share a direction, as those of language models do; their mean is taken from all of them
before scikit-learn measures cosines. The grid is written out here a second time, from the description in
`evaluate/src/interpolation.rs`.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

COUNTS, TEMPERATURES = [4, 8, 16, 32, 64], [0.03, 0.1, 0.3, 1.0]


def made(random, rows, classes, width, spread):
    labels = random.integers(classes, size=rows)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    vectors = 5.0 + spread * random.normal(size=(rows, width)) + centres[labels]
    return vectors.round(3), labels


def case(name, seed, rows, new, classes, width, spread, sure):
    random = np.random.default_rng(seed)
    kept, labels = made(random, rows, classes, width, spread)
    asked, truth = made(random, new, classes, width, spread)
    mean = kept.mean(axis=0)
    k = min(64, rows)
    index = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(kept - mean)
    distances, places = index.kneighbors(asked - mean)

    logits = random.normal(size=(new, classes))
    logits[np.arange(new), truth] += sure
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = p.astype(np.float32).astype(np.float64)

    def rows_lost(q):
        return -np.log(q[np.arange(new), truth])

    def loss(q):
        return float(log_loss(truth, q / q.sum(axis=1, keepdims=True), labels=range(classes)))

    best, votes = (loss(p), None), []
    for count in [c for c in COUNTS if c <= rows] or [rows]:
        for temperature in TEMPERATURES:
            knn = KNeighborsClassifier(
                n_neighbors=count,
                metric="cosine",
                algorithm="brute",
                weights=lambda d, t=temperature: np.exp((d.min(axis=1, keepdims=True) - d) / t),
            ).fit(kept - mean, labels)
            v = np.zeros((new, classes))
            v[:, knn.classes_] = knn.predict_proba(asked - mean)
            if count == 8 or count == rows:
                votes.append({"count": count, "temperature": temperature, "votes": v.round(7).tolist()})
            for part in range(1, 20):
                mixed = (1 - part / 20) * p + part / 20 * v
                found = loss(mixed)
                if found < best[0] - 1e-9:
                    gains = rows_lost(p) - rows_lost(mixed)
                    taken = gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(new)
                    best = (found, [part / 20 if taken else 0.0, count, temperature])
    return {
        "name": name,
        "classes": classes,
        "kept": kept.tolist(),
        "labels": labels.tolist(),
        "asked": asked.tolist(),
        "truth": truth.tolist(),
        "probabilities": [float(np.float32(x)) for x in p.ravel()],
        "places": places.tolist(),
        "similarities": (1 - distances).round(7).tolist(),
        "votes": votes,
        "loss_alone": loss(p),
        "best": {"loss": best[0], "choice": best[1]},
    }


def main():
    cases = [
        case("three classes", 1, 90, 40, 3, 19, 2.5, 1.0),
        case("two far apart", 2, 70, 30, 2, 16, 0.5, 0.2),
        case("more width than texts", 3, 9, 12, 2, 33, 2.0, 1.0),
        case("many that ask", 5, 66, 120, 3, 6, 1.5, 1.0),
        case("noise beside a good model", 4, 80, 40, 2, 8, 9.0, 3.0),
    ]
    path = Path(__file__).with_name("neighbours.json")
    path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
