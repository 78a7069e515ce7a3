"""How the packages are installed that only some commands need."""

from __future__ import annotations


def install_command(*wanted: str) -> str:
    """For a shell in the checkout: the package is not on PyPI.

    NumPy stays below 2, which the cv_bridge of ROS 2 Jazzy is built for.

    Args:
        wanted: requirements, such as `.[train]`.
    """
    return " ".join(["pip install", "'numpy<2'", *(f"'{name}'" for name in wanted)])


def not_installed(package: str | None, extra: str) -> str:
    """What to tell where a package of an extra is missing."""
    return (
        f"{package} is not installed; run in the checkout of lircdepth: "
        f"{install_command(f'.[{extra}]')}"
    )
