"""Insists on the pinned packages: the golden files are only as good as the versions that made them."""

import importlib.metadata
import pathlib


def pinned():
    """The lines `name==version` of requirements.txt."""
    text = pathlib.Path(__file__).with_name("requirements.txt").read_text(encoding="utf-8")
    return dict(line.strip().split("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))


def installed(name):
    """The version without its local part (`+cpu`), which says how it was built and not what it computes."""
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "none"


def insist_on_pinned():
    others = [f"{name} {installed(name)} instead of {version}" for name, version in pinned().items() if installed(name) != version]
    if others:
        raise SystemExit(f"error: other packages than xtask/golden/requirements.txt names: {', '.join(others)}")
