"""Versions of installed packages, which say what built something."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cache


def versions(packages: tuple[str, ...]) -> str:
    """Packages by the names they are imported by, with their distributions and versions.

    Some distributions are called otherwise, such as onnxruntime-gpu; of a package that is not
    installed there is only the name.
    """
    return " ".join(f"{name} {_version(name)}".rstrip() for name in packages)


def _version(package: str) -> str:
    # Before Python 3.11 not all distributions say which packages they have.
    found = sorted(set(_distributions().get(package, [package])))
    try:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Of every package; found by reading what is installed, which takes tenths of a second."""
    return importlib.metadata.packages_distributions()
