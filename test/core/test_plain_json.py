from __future__ import annotations

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.plain_json import parse_plain_json


def test_objects_arrays_and_scalars():
    text = '{"a": [1, -2.5, true, null], "b": {"c": "text"}}'
    expected = {"a": [1, -2.5, True, None], "b": {"c": "text"}}
    assert parse_plain_json(text) == expected
    assert parse_plain_json(text.encode()) == expected


@pytest.mark.parametrize("text", [r'"\ud83d\ude97"', '"🚗"', '"🚗"'.encode()])
def test_a_character_in_two_halves_is_one(text):
    assert parse_plain_json(text) == "🚗"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        (b"\xff\xff\xff", "decode"),
        ("[" * 100_000, "recursion"),
        ("9" * 400, "an integer of 400 digits"),
        ("9" * 10_000, "an integer of 10000 digits"),
        (r'{"a": ["\ud800"]}', "surrogates"),
        (rb'{"\uDfff": 1}', "surrogates"),
        (b'"\xed\xa0\x80"', "surrogates"),
    ],
    ids=["cut", "bytes", "deep", "long", "longer", "half", "half key", "half in bytes"],
)
def test_what_is_no_data_is_refused_in_one_line(text, words):
    with pytest.raises(InputError, match="not JSON: ") as found:
        parse_plain_json(text)
    assert words in str(found.value)
    assert "\n" not in str(found.value)
