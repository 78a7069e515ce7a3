"""YAML from anyone: data only, no more of it than the text holds, every number fits a float."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from lircdepth_core.errors import InputError

MAX_NESTING = 50

MAX_NODES = 10_000
"""Mappings, lists and scalars of a document; libyaml reads them in a tenth of a second."""

YAML_ERRORS = (
    yaml.YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What PyYAML raises of a text that is none: errors of the scalar constructors (dates, !!bool,
!!timestamp) and of deep nests come through it."""

MAX_ENTRIES = 1000
"""Of a mapping: its keys can be chosen so that its time grows with their square."""

MAX_INTEGER_BITS = 1000
"""An integer of more than 1024 is larger than any float, one of 15,000 cannot even be printed."""

MAX_NUMBER = 1000
"""Characters of a number."""

MAX_DIGITS = 300
"""Of a number that another reader makes: more is no float."""

_NUMBERS_BEGIN = "+-.0123456789"

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser is five times as fast; a PyYAML that was built without it lacks it."""


def parse_plain_yaml(text: str, max_nodes: int = MAX_NODES) -> Any:
    """Mappings, lists and scalars of a YAML document without aliases.

    Args:
        text: the document.
        max_nodes: mappings, lists and scalars; a document of more is refused.

    Raises:
        InputError: it is none, or has more.
    """
    with _as_input_error(max_nodes):
        _check_events(text, max_nodes)
        return yaml.load(text, _Loader)  # a SafeLoader


def check_plain_yaml(text: str, max_nodes: int = MAX_NODES) -> None:
    """See that a text is YAML of bounded size, which another reader of YAML 1.2 can be given.

    Nothing is made of it: a scalar may still be no number or date.

    Args:
        text: one document or several.
        max_nodes: mappings, lists and scalars.

    Raises:
        InputError: it is none, has more, nests too deep, holds an alias, a huge mapping, or a
            number of more than 300 digits.
    """
    with _as_input_error(max_nodes):
        _check_events(text, max_nodes, MAX_DIGITS)


@contextmanager
def _as_input_error(max_nodes: int) -> Iterator[None]:
    try:
        yield
    except _TooManyNodesError:
        raise InputError(f"more than {max_nodes} mappings, lists and values") from None
    except YAML_ERRORS as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())[:200]}") from error


class _TooManyNodesError(yaml.YAMLError):
    pass


def _check_events(text: str, max_nodes: int, max_digits: int | None = None) -> None:
    """Refuse what a document of that size should not hold before anything is made of it."""
    nodes, around = 0, [0]
    for event in yaml.parse(text, _Base):
        if isinstance(event, yaml.AliasEvent):  # a small file can stand for a huge document
            raise yaml.YAMLError("aliases (*name) are not allowed; write the value out")
        if isinstance(event, yaml.ScalarEvent) and max_digits is not None:
            plain = event.implicit[0] or event.tag is not None  # what is quoted is text
            if plain and len(event.value) > max_digits and event.value[0] in _NUMBERS_BEGIN:
                raise yaml.YAMLError(f"a number of {len(event.value)} characters")
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            around[-1] += 1
            if nodes > max_nodes:
                raise _TooManyNodesError
        if isinstance(event, yaml.CollectionStartEvent):
            if len(around) > MAX_NESTING:  # time grows with its square
                raise yaml.YAMLError(f"nested more than {MAX_NESTING} deep")
            around.append(0)
        elif isinstance(event, yaml.CollectionEndEvent):
            inside = around.pop()
            if isinstance(event, yaml.MappingEndEvent) and inside > 2 * MAX_ENTRIES:
                raise yaml.YAMLError(f"a mapping of more than {MAX_ENTRIES} entries")


class _Loader(_Base):
    """Safe YAML whose numbers fit a float."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        self._check_length(node)
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > MAX_INTEGER_BITS:
            raise yaml.YAMLError("an integer of more than 300 digits")
        return value

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        self._check_length(node)
        number: float = super().construct_yaml_float(node)
        return number

    def _check_length(self, node: yaml.Node) -> None:
        """1:1:1:... is a number to the base 60, which takes as long as the square of its length."""
        characters = len(self.construct_scalar(node))
        if characters > MAX_NUMBER:
            raise yaml.YAMLError(f"a number of {characters} characters")


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
