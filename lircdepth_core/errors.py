"""Errors that a user can do something about, and what to cite of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something given from outside cannot be used.

    The message is one line that names the file, topic or field, and says what to do. The command
    line prints it without a traceback; the node counts it and goes on.
    """


class NonFiniteError(ArithmeticError):
    """A network answered with NaN or infinity where it saw the image.

    Half precision that overflows does that, a device that computes wrong, or damaged weights. No
    `RuntimeError`: what a device's own library says of it is another thing.
    """


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Name the field whose value is at fault in an error that knows only the value.

    Raises:
        InputError: what the body raised, behind the field's name.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{field}: {error}") from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
