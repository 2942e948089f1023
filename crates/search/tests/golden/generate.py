"""Writes parzen.json: what SciPy says about the densities that a search draws from.

    pip install scipy==1.17.1 numpy
    python generate.py

The Parzen estimator of the crate `tpe` has a normal kernel on each value and one on the middle of the range. A kernel is as wide
as the way to the farther of its neighbours (the ends of the range count as neighbours, but not for the first and the last of
several kernels), not narrower than the range over the number of kernels plus one, nor wider than the range. The mixture is cut at the ends of
the range. SciPy gives the kernels and the mass between the ends.
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import norm


def widths(means, low, high):
    count = len(means)
    edges = np.concatenate([[low], means, [high]])
    wide = np.maximum(means - edges[:-2], edges[2:] - means)
    if count >= 2:
        wide[0] = means[1] - means[0]
        wide[-1] = means[-1] - means[-2]
    least = (high - low) / min(100.0, 1.0 + count)
    return np.clip(wide, least, high - low)


def log_density(values, low, high, at):
    means = np.sort(np.append(values, (low + high) / 2))
    kernels = norm(means, widths(means, low, high))
    mass = np.sum(kernels.cdf(high) - kernels.cdf(low))
    return [float(np.log(np.sum(kernels.pdf(x)) / mass)) for x in at]


def main():
    random = np.random.default_rng(0)
    cases = []
    for low, high, count in [(0.0, 1.0, 0), (0.0, 1.0, 1), (-11.5, -6.9, 4), (-2.0, 3.0, 12), (0.0, 0.1, 40)]:
        values = np.sort(random.uniform(low, high, count))
        at = np.linspace(low, np.nextafter(high, low), 9)
        cases.append({
            "low": low,
            "high": high,
            "values": values.tolist(),
            "at": at.tolist(),
            "log_density": log_density(values, low, high, at),
        })
    path = Path(__file__).with_name("parzen.json")
    path.write_text(json.dumps(cases, indent=1) + "\n")


main()
