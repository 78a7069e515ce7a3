from __future__ import annotations

import itertools
import time

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.plain_yaml import check_plain_yaml, parse_plain_yaml


def test_mappings_lists_and_scalars():
    assert parse_plain_yaml("a: [1, 2.5, true]\nb: {c: text}") == {
        "a": [1, 2.5, True],
        "b": {"c": "text"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: 2001-99-99",
        "a: !!python/object:os.system ls",
        "a: !!float x",
        "[" * 5000,
        "[" * 100_000,
    ]
    + ["a: " + "9" * 400, "a: 0x" + "f" * 5000, "a: " + "1:" * 300 + "1"],
    ids=["cut", "date", "object", "number", "deep", "deeper", "long", "hexadecimal", "sexagesimal"],
)
def test_what_is_no_data_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="not YAML: ") as found:
        parse_plain_yaml(text)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": ' * 50_000, "a: " + "1:" * 100_000 + "1", "1:" * 100_000 + "1.5"],
    ids=["list", "mapping", "base 60", "fraction"],
)
def test_a_text_of_an_attacker_takes_no_longer_than_another(text):
    begin = time.process_time()
    with pytest.raises(InputError, match="not YAML: "):
        parse_plain_yaml(text)
    assert time.process_time() - begin < 0.5


def test_a_text_of_more_values_than_are_read_is_refused_in_time():
    text = "[" + "[]," * 100_000 + "]"
    begin = time.process_time()
    with pytest.raises(InputError, match=r"^more than 1000 mappings, lists and values$"):
        parse_plain_yaml(text, max_nodes=1000)
    assert time.process_time() - begin < 0.5
    with pytest.raises(InputError, match=r"^more than 10000 "):
        parse_plain_yaml(text)
    assert len(parse_plain_yaml("[" + "0," * 20_000 + "]", max_nodes=20_001)) == 20_000


def test_a_fraction_to_the_base_60_beyond_every_float_is_refused():
    with pytest.raises(InputError, match="not YAML: "):
        parse_plain_yaml("1:" * 300 + "1.5")


def test_a_small_text_cannot_stand_for_a_huge_document():
    names = "abcdefghijklmn"
    text = "a: &a [1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in itertools.pairwise(names)
    )
    begin = time.process_time()
    with pytest.raises(InputError, match="aliases"):
        parse_plain_yaml(text)
    assert time.process_time() - begin < 0.5


def test_a_long_text_that_looks_like_a_number_is_a_text_where_it_is_quoted():
    assert parse_plain_yaml('"' + "0f" * 2000 + '"') == "0f" * 2000
    with pytest.raises(InputError, match="a number of 4000 characters"):
        parse_plain_yaml("!!int '" + "0x" * 2000 + "'")


BASE_60 = "1:" * 200_000 + "1"


@pytest.mark.parametrize(
    "text",
    ["'_{}'", "' {}'", "'1 :{}'", "'１:{}'", "{{=: '{}'}}"],
    ids=["underscore", "blank", "blank inside", "other digits", "value key"],
)
@pytest.mark.parametrize("tag", ["!!int ", "!!float "])
def test_no_number_to_the_base_60_is_written_so_that_its_length_is_overlooked(tag, text):
    begin = time.process_time()
    with pytest.raises(InputError, match=r"not YAML: a number of 40000\d characters"):
        parse_plain_yaml(tag + text.format(BASE_60))
    assert time.process_time() - begin < 0.5


def test_keys_that_all_hash_alike_take_no_longer():
    text = "{" + ", ".join(f"{k * (2**61 - 1)}: 0" for k in range(1, 4900)) + "}"
    begin = time.process_time()
    for read in (parse_plain_yaml, check_plain_yaml):
        with pytest.raises(InputError, match="a mapping of more than 1000 entries"):
            read(text)
    assert time.process_time() - begin < 0.5
    assert len(parse_plain_yaml("{" + ", ".join(f"a{k}: 0" for k in range(1000)) + "}")) == 1000


@pytest.mark.parametrize(
    "number", ["9" * 301, "-" + "9" * 301, "0x" + "f" * 300, "!!int '" + "9" * 301 + "'"]
)
def test_a_number_that_no_float_holds_is_refused_before_anything_is_made_of_it(number):
    with pytest.raises(InputError, match=r"a number of 30[12] characters"):
        check_plain_yaml(f"a: {number}")


def test_what_is_text_may_be_long_where_nothing_is_made_of_it():
    check_plain_yaml(f"a: '{'9' * 2000}'")
    check_plain_yaml(f"a: {'f' * 2000}")
