"""YAML files read into frozen dataclasses, and written again."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lircdepth_core.errors import InputError
from lircdepth_core.plain_yaml import YAML_ERRORS

Config = TypeVar("Config")


def read_config(kind: type[Config], path: Path, changes: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Fields may be numbers, texts, true or false, tuples, null where the type says so, and
    dataclasses of such. A field may be left out only if its dataclass has a default for it.

    Args:
        kind: a frozen dataclass, whose `__post_init__` may raise `InputError`s that name a field.
        path: a YAML file.
        changes: `section.field=value` texts, the value in YAML, that take the place of the file's.

    Raises:
        InputError: the file is no YAML; or a field is unknown, missing, of another type or out of
            range. The line names the file, the changes and the field.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a configuration file") from error
    except YAML_ERRORS as error:
        raise InputError(f"{path}: not YAML ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: give a mapping of fields, one per line")
    for change in changes:
        name, separator, text = change.partition("=")
        if not separator or not name:
            raise InputError(f"--set {change}: give section.field=value")
        try:
            _replace(values, name, yaml.load(text, _Loader))  # a SafeLoader
        except YAML_ERRORS as error:
            raise InputError(f"--set {change}: the value is not YAML") from error
    try:
        return _dataclass(kind, values, "")
    except InputError as error:
        changed = f" with --set {' '.join(changes)}" if changes else ""
        raise InputError(f"{path}{changed}: {error}") from error


def format_config(config: Any) -> str:
    """The YAML of a configuration, all fields written out; `read_config` reads it back."""
    return yaml.safe_dump(plain(config), sort_keys=False, width=100)


def plain(config: Any) -> dict[str, Any]:
    """A configuration as dicts, lists, numbers and texts."""
    return {
        name: _plain_value(getattr(config, name))
        for name in (field.name for field in dataclasses.fields(config))
    }


def differences(one: Any, other: Any) -> list[str]:
    """Full names of the fields in which two configurations of one kind differ."""
    names: list[str] = []
    for field in dataclasses.fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(first) and dataclasses.is_dataclass(second):
            names += [f"{field.name}.{name}" for name in differences(first, second)]
        elif first != second:
            names.append(field.name)
    return names


class _Loader(yaml.SafeLoader):
    """Safe YAML that takes 1e-4 for a number, as YAML 1.2 does, and refuses a field given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a field stands there twice")
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _replace(values: dict[str, Any], name: str, value: Any) -> None:
    """Set a field by its full name."""
    *sections, field = name.split(".")
    for section in sections:
        if not isinstance(values.get(section), dict):
            values[section] = {}
        values = values[section]
    values[field] = value


def _dataclass(kind: type[Config], values: Any, path: str) -> Config:
    if not isinstance(values, dict):
        raise InputError(f"{path}: give a mapping of fields")
    types_of = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise InputError(
                f"{_full(path, name)}: this field is unknown; there are {', '.join(fields)}"
            )
    for name, field in fields.items():
        missing = dataclasses.MISSING
        if name not in values and field.default is field.default_factory is missing:
            raise InputError(f"{_full(path, name)}: this field is missing; add it")
    arguments = {
        name: _value(types_of[name], value, _full(path, name)) for name, value in values.items()
    }
    try:
        return kind(**arguments)
    except InputError as error:
        raise InputError(_full(path, str(error))) from error


def _value(kind: Any, value: Any, path: str) -> Any:
    """A value of YAML as a field's type wants it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _value(kind, value, path)
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{path}: give one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        ends_open = arguments[1:] == (...,)
        if not isinstance(value, list) or not (ends_open or len(value) == len(arguments)):
            raise InputError(f"{path}: give a list{'' if ends_open else f' of {len(arguments)}'}")
        kinds = arguments[:1] * len(value) if ends_open else arguments
        return tuple(
            _value(kind, item, f"{path}[{number}]")
            for number, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, path)
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        raise InputError(f"{path}: an integer of {value.bit_length()} bits; give a smaller one")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{path}: give {_WORDS[kind]}")
    return value


_MAX_INTEGER_BITS = 63
"""What fits torch and NumPy, seeds too."""

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    return list(map(_plain_value, value)) if isinstance(value, tuple) else value


def _full(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
