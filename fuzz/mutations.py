"""Ways to damage what was whole."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def damaged(whole: bytes, *more: bytes) -> st.SearchStrategy[bytes]:
    """One of some byte strings after up to four changes; seldom unchanged."""
    return st.tuples(st.sampled_from([whole, *more]), st.lists(_CHANGES, max_size=4)).map(_apply)


_CHANGES = st.one_of(
    st.tuples(st.just("set"), st.floats(0, 1), st.integers(0, 255)),
    st.tuples(st.just("flip"), st.floats(0, 1), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("remove"), st.floats(0, 1), st.integers(1, 64)),
    st.tuples(st.just("repeat"), st.floats(0, 1), st.integers(1, 64)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(max_size=16)),
    st.tuples(st.just("little"), st.floats(0, 1), st.sampled_from(EXTREMES)),
    st.tuples(st.just("big"), st.floats(0, 1), st.sampled_from(EXTREMES)),
)


def _apply(case: tuple[bytes, list[tuple[str, float, Any]]]) -> bytes:
    data = bytearray(case[0])
    for kind, place, value in case[1]:
        at = int(place * len(data))
        if kind == "set":
            data[at : at + 1] = bytes([value])
        elif kind == "flip" and at < len(data):
            data[at] ^= 1 << value
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + value]
        elif kind == "repeat":
            data[at:at] = data[at : at + value]
        elif kind == "insert":
            data[at:at] = value
        elif kind in ("little", "big"):
            data[at : at + 4] = struct.pack("<I" if kind == "little" else ">I", value)
    return bytes(data)


NUMBERS = st.one_of(
    st.floats(width=64),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1e308, -1e308, 1e38, 1e-38]),
    st.integers(-10, 10).map(float),
)
"""NaN, infinities, denormals and ordinary numbers."""

LONG_INTEGERS = st.sampled_from([10**400, -(10**400), 10**308, 2**1024, 2**63, 2**64])
"""No float is as large as the first of them."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    LONG_INTEGERS,
    NUMBERS,
    st.text(max_size=10),
    st.dates(),
    st.binary(max_size=6),
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
"""What a YAML or JSON field can hold."""

DEEP = [b"[" * 5000, b'{"a":' * 5000, b"[" * 400 + b"]" * 400]
"""Documents nested deeper than what reads them can follow; the last is whole."""


def changed_fields(whole: Any) -> st.SearchStrategy[Any]:
    """A document of mappings and lists with up to three values replaced or taken out."""
    return st.lists(
        st.tuples(
            st.lists(st.floats(0, 1), min_size=2, max_size=6),
            st.integers(0, 5).map(lambda chance: chance == 0),
            st.one_of(NUMBERS, NUMBERS, VALUES),
        ),
        max_size=3,
    ).map(lambda changes: _replaced(whole, changes))


def _replaced(whole: Any, changes: list[tuple[list[float], bool, Any]]) -> Any:
    for path, takes_out, value in changes:
        whole = _replaced_at(whole, path, takes_out, value)
    return whole


def _replaced_at(node: Any, path: list[float], takes_out: bool, value: Any) -> Any:
    if not path or not isinstance(node, (dict, list)) or not node:
        return value
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = keys[min(int(path[0] * len(keys)), len(keys) - 1)]
    copy = node.copy()
    if len(path) == 1 and takes_out:
        del copy[key]
    else:
        copy[key] = _replaced_at(node[key], path[1:], takes_out, value)
    return copy
