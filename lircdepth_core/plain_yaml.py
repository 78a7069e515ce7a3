"""YAML from anyone: data only, no more of it than the text holds, every number fits a float."""

from __future__ import annotations

from typing import Any

import yaml

from lircdepth_core.errors import InputError

MAX_NESTING = 50

MAX_NODES = 10_000
"""Mappings, lists and scalars of a document; reading that many takes half a second."""

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

MAX_INTEGER_BITS = 1000
"""An integer of more than 1024 is larger than any float, one of 15,000 cannot even be printed."""


def parse_plain_yaml(text: str, max_nodes: int = MAX_NODES) -> Any:
    """Mappings, lists and scalars of a YAML document without aliases.

    Args:
        text: the document.
        max_nodes: mappings, lists and scalars; a document of more is refused.

    Raises:
        InputError: it is none, or has more.
    """

    class Loader(_Loader):
        nodes_left = max_nodes

    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except _TooManyNodesError:
        raise InputError(f"more than {max_nodes} mappings, lists and values") from None
    except YAML_ERRORS as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())[:200]}") from error


class _TooManyNodesError(yaml.YAMLError):
    pass


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases, with which a small file can stand for a huge document."""

    nodes_left = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes_left -= 1
        if self.nodes_left < 0:
            raise _TooManyNodesError
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed; write the value out")
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        if self.flow_level >= MAX_NESTING:  # time grows with its square
            raise yaml.YAMLError(f"brackets nested more than {MAX_NESTING} deep")
        super().fetch_flow_collection_start(token)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        _check_length(node)
        value = super().construct_yaml_int(node)
        if value.bit_length() > MAX_INTEGER_BITS:
            raise yaml.YAMLError("an integer of more than 300 digits")
        return value

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        _check_length(node)
        return super().construct_yaml_float(node)


def _check_length(node: yaml.Node) -> None:
    """1:1:1:... is a number to the base 60, which takes as long as the square of its length."""
    if len(node.value) > MAX_INTEGER_BITS + 10:
        raise yaml.YAMLError(f"a number of {len(node.value)} characters")


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
