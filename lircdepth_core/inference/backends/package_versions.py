"""Versions of installed packages, which say what built something."""

from __future__ import annotations

import importlib.metadata


def versions(packages: tuple[str, ...]) -> str:
    """Packages by the names they are imported by, with their distributions and versions.

    Some distributions are called otherwise, such as onnxruntime-gpu; of a package that is not
    installed there is only the name.
    """
    distributions = importlib.metadata.packages_distributions()

    def version(package: str) -> str:
        found = sorted(set(distributions.get(package, [])))
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)

    return " ".join(f"{name} {version(name)}".rstrip() for name in packages)
