"""The node's parameters, declared from one YAML description.

The description `depth_node_parameters.yaml` follows generate_parameter_library's schema, of which
`bounds`, `element_bounds`, `one_of`, `not_empty`, `fixed_size` and `unique` are used here.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from importlib import resources
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.parameter import Parameter

from lircdepth_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rclpy.node import Node

_TYPES = {
    "string": Parameter.Type.STRING,
    "bool": Parameter.Type.BOOL,
    "int": Parameter.Type.INTEGER,
    "double": Parameter.Type.DOUBLE,
    "string_array": Parameter.Type.STRING_ARRAY,
    "int_array": Parameter.Type.INTEGER_ARRAY,
    "double_array": Parameter.Type.DOUBLE_ARRAY,
}


@dataclass(frozen=True)
class ParameterDescription:
    """One parameter as the YAML describes it."""

    name: str
    type: str
    default: Any
    description: str
    read_only: bool
    validation: dict[str, Any]

    def descriptor(self) -> ParameterDescriptor:
        """For `declare_parameter`, with the bounds that ROS itself can check."""
        descriptor = ParameterDescriptor(
            name=self.name,
            type=_TYPES[self.type].value,
            description=self.description,
            read_only=self.read_only,
        )
        if "bounds<>" in self.validation:
            low, high = self.validation["bounds<>"]
            if self.type == "int":
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
                ]
        return descriptor

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, None if nothing (bounds are checked by ROS)."""
        rules = self.validation
        if "not_empty<>" in rules and not value:
            return f"parameter {self.name} is empty"
        if "one_of<>" in rules and value not in rules["one_of<>"][0]:
            return f"parameter {self.name} is {value!r}; use one of {rules['one_of<>'][0]}"
        if "fixed_size<>" in rules and len(value) != rules["fixed_size<>"]:
            return f"parameter {self.name} has {len(value)} elements, not {rules['fixed_size<>']}"
        low, high = rules.get("element_bounds<>", (-math.inf, math.inf))
        if "element_bounds<>" in rules and not all(low <= element <= high for element in value):
            return f"parameter {self.name} is {list(value)}; give elements of {low} to {high}"
        if "unique<>" in rules and len(set(value)) != len(value):
            return f"parameter {self.name} names something twice: {list(value)}"
        return None


def describe_parameters() -> list[ParameterDescription]:
    """All parameters of the node, in the order of the YAML."""
    text = resources.files(__package__).joinpath("depth_node_parameters.yaml").read_text("utf-8")
    return [
        ParameterDescription(
            name=name,
            type=entry["type"],
            default=entry["default_value"],
            description=entry["description"],
            read_only=entry.get("read_only", False),
            validation=entry.get("validation", {}),
        )
        for name, entry in yaml.safe_load(text)["depth"].items()
    ]


_QOS_OVERRIDES = "qos_overrides."


class NodeParameters:
    """Declares the parameters on a node and hands out their checked values.

    Raises:
        InputError: a value given at start breaks a rule; the message names the parameter.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._descriptions = {entry.name: entry for entry in describe_parameters()}
        for entry in self._descriptions.values():
            node.declare_parameter(entry.name, entry.default, entry.descriptor())
        self.values = self._read()
        for entry in self._descriptions.values():
            if fault := entry.fault(getattr(self.values, entry.name)):
                raise InputError(fault)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._refresh)

    @property
    def unknown(self) -> list[str]:
        """Names given at start that the node has no parameter of, which ROS ignores.

        Others that it has: those of its clock and of rclpy itself. QoS overrides come later.
        """
        return [name for name in self._undeclared() if not name.startswith(_QOS_OVERRIDES)]

    @property
    def unused_qos_overrides(self) -> list[str]:
        """Names of QoS overrides given at start that no subscription there is now has read."""
        return [name for name in self._undeclared() if name.startswith(_QOS_OVERRIDES)]

    def _undeclared(self) -> list[str]:
        # rclpy tells of them in no other way.
        given = getattr(self._node, "_parameter_overrides", {})
        return [name for name in sorted(given) if not self._node.has_parameter(name)]

    def alike(self, name: str) -> str:
        """Which parameter a misspelt name may mean, in words; empty if none is like it."""
        found = difflib.get_close_matches(name, self._descriptions, 1)
        return f"; did you mean {found[0]}?" if found else ""

    def _read(self, changed: Iterable[Parameter] = ()) -> SimpleNamespace:
        values = {name: self._node.get_parameter_or(name).value for name in self._descriptions}
        values.update((p.name, p.value) for p in changed if p.name in self._descriptions)
        for name, value in values.items():
            if value is None:  # YAML's [] has no type, and rcl leaves the parameter unset
                values[name] = []
        return SimpleNamespace(**values)

    def _check(self, changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            entry = self._descriptions.get(parameter.name)
            if entry is not None and (fault := entry.fault(parameter.value)):
                return SetParametersResult(successful=False, reason=fault)
        return SetParametersResult(successful=True)

    def _refresh(self, changed: list[Parameter]) -> None:
        # One assignment, so that the worker sees either the old set or the new one.
        self.values = self._read(changed)


def parameter_table() -> str:
    """The parameters as a Markdown table, for the README."""
    rows = ["| parameter | type | default | change | meaning |", "| --- | --- | --- | --- | --- |"]
    for entry in describe_parameters():
        default = yaml.safe_dump(entry.default, default_flow_style=True).split("\n")[0]
        change = "at start" if entry.read_only else "any time"
        rows.append(
            f"| `{entry.name}` | {entry.type} | `{default}` | {change} | {entry.description} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(parameter_table(), end="")
