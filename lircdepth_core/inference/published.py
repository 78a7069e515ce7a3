"""Reading the checkpoints that were published with LiRCDepth and CaFNet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from lircdepth_core.errors import InputError
from lircdepth_core.network import Student, Teacher
from lircdepth_core.network.parameters import load_parameters, read_checkpoint


@overload
def load_published(source: str | Path | Mapping[str, Any], kind: Literal["student"]) -> Student: ...
@overload
def load_published(source: str | Path | Mapping[str, Any], kind: Literal["teacher"]) -> Teacher: ...
@overload
def load_published(source: str | Path | Mapping[str, Any], kind: str) -> Student | Teacher: ...


def load_published(source: str | Path | Mapping[str, Any], kind: str) -> Student | Teacher:
    """A network with published weights, on the CPU and in eval mode.

    Published student weights know no uncertainty: the head then stays as it starts, which
    `student.uncertainty_head.untrained` tells. Nothing in a file is run.

    Args:
        source: a file of `torch.save`, or what it holds: a dict with the parameters under `model`,
            or the parameters themselves; a `module.` before their names is dropped, and all
            that is not parameters (optimiser, step, scores) is left out.
        kind: "student" or "teacher".

    Raises:
        InputError: the file cannot be read, is damaged or would run something; or one line names
            every key that is missing, unexpected or of the wrong shape.
    """
    if kind not in PUBLISHED:
        raise InputError(f"kind: {kind!r}, give one of {', '.join(PUBLISHED)}")
    if isinstance(source, Mapping):
        name, checkpoint = "checkpoint", source
    else:
        name, checkpoint = str(source), read_checkpoint(source)
    parameters = checkpoint.get("model", checkpoint)
    if not isinstance(parameters, Mapping):
        raise InputError(
            f"{name}: `model` is a {type(parameters).__name__}; give a dict of parameters"
        )
    parameters = {str(key).removeprefix("module."): value for key, value in parameters.items()}

    network = PUBLISHED[kind]()
    head = {key for key in network.state_dict() if key.startswith("uncertainty_head.")}
    load_parameters(network, parameters, name, optional=head if head.isdisjoint(parameters) else ())
    return network.eval()


PUBLISHED: dict[str, type[Student] | type[Teacher]] = {"student": Student, "teacher": Teacher}
