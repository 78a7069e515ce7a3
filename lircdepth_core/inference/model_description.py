"""model.yaml: what a model is, what it wants to see, and where its parameters are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import INTERPOLATIONS
from lircdepth_core.inference.calibration import BlindCalibration, Calibration
from lircdepth_core.network import MAX_DEPTH, NETWORKS
from lircdepth_core.plain_yaml import parse_plain_yaml
from lircdepth_core.radar import RADAR_CHANNELS

FORMAT = 1
"""Version of model.yaml that this code reads and writes."""

MAX_FOCAL_LENGTH = 100_000.0
MAX_ROWS = 100_000
MAX_NAME = 64


@dataclass(frozen=True)
class Crop:
    """Rows of the image at the model's focal length that the network sees.

    Attributes:
        top: the first one, counted from the image's upper edge; None where `principal_row` says it.
        height: how many.
        principal_row: row of the crop, of any fraction, on which the principal point is to lie, and
            with it the horizon of a level camera: in an image of another field of view the network
            sees it where it was taught to. The crop stays within the image.
    """

    top: int | None
    height: int
    principal_row: float | None = None


@dataclass(frozen=True)
class NetworkInput:
    """What the network was taught with.

    Attributes:
        focal_length: pixels at the network's input, in x and y.
        interpolation: how images were scaled: one of `INTERPOLATIONS`.
        crop: rows that are used; None for all.
    """

    focal_length: float
    interpolation: str
    crop: Crop | None = None


@dataclass(frozen=True)
class StoredWeights:
    """Parameters in a safetensors file beside model.yaml."""

    file: str
    sha256: str


@dataclass(frozen=True)
class SeededWeights:
    """Parameters drawn from a seed: an untrained network."""

    seed: int


@dataclass(frozen=True)
class Int8Form:
    """The network in 8-bit integers, an ONNX file beside model.yaml.

    Attributes:
        file: its name.
        sha256: that it has.
        weights: SHA-256 of the weights that it was made of.
    """

    file: str
    sha256: str
    weights: str


@dataclass(frozen=True)
class ModelDescription:
    """Everything model.yaml says.

    Attributes:
        name: a short name for logs.
        network: one of `NETWORKS`.
        trained: whether depth was learned; False means that its output is meaningless.
        uncertainty_trained: whether the uncertainty head was learned.
        max_depth: metres, the largest depth that the network can give.
        input: what the network was taught with.
        weights: where the parameters are; `SeededWeights` only for an untrained network.
        calibration: from expected uncertainty to metres; None if it was not fitted.
        blind_calibration: the same for images that show next to nothing; None, or a missing field,
            if they are calibrated as all others.
        int8: None if it was not quantised; the field may be missing.
    """

    name: str
    network: str
    trained: bool
    uncertainty_trained: bool
    max_depth: float
    input: NetworkInput
    weights: StoredWeights | SeededWeights
    calibration: Calibration | None = None
    blind_calibration: BlindCalibration | None = None
    int8: Int8Form | None = None

    def is_blind(self, structure: float) -> bool:
        """Whether an image shows next to nothing, as far as the model says what that is.

        Args:
            structure: `structure_share` of the image as the network sees it, 0..1.
        """
        blind = self.blind_calibration
        return blind is not None and structure < blind.structure_below

    def calibration_for(self, structure: float) -> Calibration | None:
        """The calibration for an image of this `structure_share`; None if there is none."""
        blind = self.blind_calibration
        if blind is not None and self.is_blind(structure):
            return blind.calibration
        return self.calibration


def parse_description(text: str) -> ModelDescription:
    """Read the text of a model.yaml.

    Raises:
        InputError: it is no YAML, has an unknown version, lacks a field, or a field is unknown, of
            the wrong type or out of range.
    """
    fields = _Fields(parse_plain_yaml(text), "")
    version = fields.integer("format", 0, 1_000_000)
    if version != FORMAT:
        raise InputError(
            f"format: version {version}, this program reads {FORMAT}; update one of the two"
        )
    description = ModelDescription(
        name=fields.text("name", MAX_NAME),
        network=fields.choice("network", tuple(NETWORKS)),
        trained=fields.boolean("trained"),
        uncertainty_trained=fields.boolean("uncertainty_trained"),
        max_depth=fields.number("max_depth", MAX_DEPTH, MAX_DEPTH),
        input=_network_input(fields.child("input")),
        weights=_weights(fields.child("weights")),
        calibration=fields.optional("calibration", _calibration),
        blind_calibration=(
            fields.optional("blind_calibration", _blind_calibration)
            if "blind_calibration" in fields
            else None
        ),
        int8=fields.optional("int8", _int8) if "int8" in fields else None,
    )
    fields.finish()
    if description.trained and isinstance(description.weights, SeededWeights):
        raise InputError("weights.seed: a trained network has stored weights; give file and sha256")
    if description.uncertainty_trained and description.network == "teacher":
        raise InputError("uncertainty_trained: a teacher has no uncertainty head; give false")
    if description.calibration and not description.uncertainty_trained:
        raise InputError("calibration: the uncertainty head is not trained; give null")
    if description.blind_calibration and not description.calibration:
        raise InputError("blind_calibration: there is no calibration; remove this field")
    return description


def format_description(description: ModelDescription) -> str:
    """The text of model.yaml for a description; `parse_description` reads it back."""
    network_input = dataclasses.asdict(description.input)
    network_input["radar_channels"] = list(RADAR_CHANNELS)
    if (crop := network_input["crop"]) is not None:  # it has one of the two
        network_input["crop"] = {name: value for name, value in crop.items() if value is not None}
    calibration = description.calibration
    document = {
        "format": FORMAT,
        "name": description.name,
        "network": description.network,
        "trained": description.trained,
        "uncertainty_trained": description.uncertainty_trained,
        "max_depth": description.max_depth,
        "input": network_input,
        "weights": dataclasses.asdict(description.weights),
        "calibration": calibration and _tables(calibration),
    }
    if (blind := description.blind_calibration) is not None:
        document["blind_calibration"] = {
            "structure_below": blind.structure_below,
            **_tables(blind.calibration),
        }
    if description.int8 is not None:
        document["int8"] = dataclasses.asdict(description.int8)
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)


def _tables(calibration: Calibration) -> dict[str, list[Any]]:
    return {
        field.name: getattr(calibration, field.name).tolist()
        for field in dataclasses.fields(calibration)
    }


def _network_input(fields: _Fields) -> NetworkInput:
    if fields.take("radar_channels") != list(RADAR_CHANNELS):
        raise InputError(f"input.radar_channels: give [{', '.join(RADAR_CHANNELS)}]")
    network_input = NetworkInput(
        focal_length=fields.number("focal_length", 1.0, MAX_FOCAL_LENGTH),
        interpolation=fields.choice("interpolation", INTERPOLATIONS),
        crop=fields.optional("crop", _crop),
    )
    fields.finish()
    return network_input


def _crop(fields: _Fields) -> Crop:
    height = fields.integer("height", 1, MAX_ROWS)
    if "top" in fields and "principal_row" in fields:
        raise InputError("input.crop: give top or principal_row, not both")
    if "principal_row" in fields:
        crop = Crop(None, height, fields.number("principal_row", 0, height))
    else:
        crop = Crop(fields.integer("top", 0, MAX_ROWS), height)
    fields.finish()
    return crop


def _weights(fields: _Fields) -> StoredWeights | SeededWeights:
    weights: StoredWeights | SeededWeights
    if "seed" in fields:
        weights = SeededWeights(fields.integer("seed", 0, 2**63 - 1))
    else:
        weights = StoredWeights(fields.file_name("file"), fields.sha256("sha256"))
    fields.finish()
    return weights


def _int8(fields: _Fields) -> Int8Form:
    form = Int8Form(fields.file_name("file"), fields.sha256("sha256"), fields.sha256("weights"))
    fields.finish()
    return form


def _calibration(fields: _Fields) -> Calibration:
    names = [field.name for field in dataclasses.fields(Calibration)]
    tables = {name: fields.table(name) for name in names}
    fields.finish()
    return Calibration(**tables)


def _blind_calibration(fields: _Fields) -> BlindCalibration:
    below = fields.number("structure_below", 0, 1)
    try:
        return BlindCalibration(below, _calibration(fields))
    except InputError as error:
        if str(error).startswith("calibration"):  # of the tables, which do not know where they are
            raise InputError(f"blind_{error}") from error
        raise


class _Fields:
    """A YAML mapping read field by field; every complaint names the field."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, dict):
            raise InputError(f"{path or 'the file'}: give a mapping of fields, one per line")
        self._values = values
        self._path = path
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str) -> Any:
        """The value as YAML gave it."""
        if name not in self._values:
            raise InputError(f"{self._full(name)}: this field is missing; add it")
        self._read.add(name)
        return self._values[name]

    def child(self, name: str) -> _Fields:
        """A mapping in a field."""
        return _Fields(self.take(name), self._full(name))

    def optional(self, name: str, parse: Callable[[_Fields], Any]) -> Any:
        """A mapping in a field, or None where the field is null."""
        return None if self.take(name) is None else parse(self.child(name))

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise InputError(f"{self._full(name)}: give true or false")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number within low..high."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(f"{self._full(name)}: give a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """A number within low..high."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{self._full(name)}: give a number")
        if not low <= value <= high:
            raise InputError(f"{self._full(name)}: give a number from {low:g} to {high:g}")
        return float(value)

    def text(self, name: str, longest: int) -> str:
        """A printable text of one line."""
        value = self.take(name)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
            raise InputError(f"{self._full(name)}: give a text of one line, up to {longest} long")
        return value

    def file_name(self, name: str) -> str:
        """The name of a file beside this one."""
        value = self.text(name, 100)
        if "/" in value or "\\" in value or value in (".", ".."):
            raise InputError(f"{self._full(name)}: give the name of a file beside model.yaml")
        return value

    def sha256(self, name: str) -> str:
        """A SHA-256 in lower-case hexadecimal digits."""
        value = self.text(name, 64)
        if len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise InputError(f"{self._full(name)}: give 64 lower-case hexadecimal digits")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.take(name)
        if not isinstance(value, str) or value not in choices:
            raise InputError(f"{self._full(name)}: give one of {', '.join(choices)}")
        return value

    def table(self, name: str) -> np.ndarray:
        """Numbers in lists, nested up to three deep."""
        value = self.take(name)
        if _shape(value) is None:
            raise InputError(f"{self._full(name)}: give numbers in lists of equal length")
        return np.array(value, dtype=np.float64)

    def finish(self) -> None:
        """Complain about fields that nobody asked for."""
        unknown = [name for name in self._values if name not in self._read]
        if unknown:
            name = " ".join(str(unknown[0]).split())[:40]
            raise InputError(f"{self._full(name)}: this field is unknown; remove it")

    def _full(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _shape(value: Any, depth: int = 3) -> tuple[int, ...] | None:
    """Shape of a nested list of finite numbers; None if it is anything else."""
    if not isinstance(value, list):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return () if number and abs(value) <= 1e9 and math.isfinite(value) else None
    if depth == 0 or not value:
        return None
    shapes = {_shape(item, depth - 1) for item in value}
    shape = shapes.pop()
    return None if shapes or shape is None else (len(value), *shape)
