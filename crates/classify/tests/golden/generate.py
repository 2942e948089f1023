"""Writes baselines.json: small texts, and what scikit-learn says about them.

    pip install scikit-learn==1.9.1 numpy
    python generate.py

The words are drawn at random from a list written for this project, some more often in one class than in the others, so
that classes overlap and are of different sizes.
"""

import json
import random
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

WORDS = (
    "lamp kettle Tent radio, late early fine broken lovely awful! not very I it's don't 2nd café "
    "STRASSE naïve under_score parcel refund thanks again Ёлка 東京 x"
).split()
# The library's own pattern, and before it: every Chinese character is a word.
TOKEN = r"(?u)[\u4e00-\u9fff]|\b\w\w+\b"
STRENGTHS = [0.1, 1.0, 10.0, 100.0]


def texts(draw, classes, count):
    made = []
    for _ in range(count):
        favourites = [WORDS[(7 * c + k) % len(WORDS)] for c in classes(len(made)) for k in range(4)]
        words = [draw.choice(favourites if favourites and draw.random() < 0.4 else WORDS) for _ in range(draw.randint(3, 15))]
        made.append(" ".join(words))
    return made


def case(name, labels, draw, multi_label=False):
    count = 60

    def classes(i):
        if multi_label:
            return [c for c in range(labels) if (i * (c + 3)) % (c + 4) < 2]
        return [min((0, 0, 1, 0, 2, 0, 1, 3)[i % 8], labels - 1)]

    train, new = texts(draw, classes, count), texts(draw, classes, 12) + ["", "unheard of"]
    targets = [classes(i) for i in range(count)]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN)
    rows = vectorizer.fit_transform(train)
    if multi_label:
        truth = np.array([[int(c in t) for c in range(labels)] for t in targets])
    else:
        truth = np.array([t[0] for t in targets])
    answers = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=100_000)
        model = OneVsRestClassifier(model) if multi_label else model
        model.fit(rows, truth)
        answers[str(strength)] = model.predict_proba(vectorizer.transform(new)).tolist()
    return {
        "name": name,
        "classes": labels,
        "multi_label": multi_label,
        "train": train,
        "targets": targets,
        "new": new,
        "terms": vectorizer.get_feature_names_out().tolist(),
        "weights": vectorizer.idf_.tolist(),
        "rows": vectorizer.transform(new).toarray()[:4].tolist(),
        "probabilities": answers,
    }


def main():
    draw = random.Random(20)
    cases = [
        case("two classes", 2, draw),
        case("four classes", 4, draw),
        case("three labels", 3, draw, multi_label=True),
    ]
    golden = {"scikit-learn": sklearn.__version__, "cases": cases}
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"), default=float)
    Path(__file__).with_name("baselines.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
