"""What `lircdepth prepare` can be asked to make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lircdepth_core.errors import InputError

RADARS_OF_CAMERA: Mapping[str, tuple[str, ...]] = {
    "CAM_FRONT": ("RADAR_FRONT",),
    "CAM_FRONT_LEFT": ("RADAR_FRONT_LEFT",),
    "CAM_FRONT_RIGHT": ("RADAR_FRONT_RIGHT",),
    "CAM_BACK_LEFT": ("RADAR_FRONT_LEFT", "RADAR_BACK_LEFT"),
    "CAM_BACK_RIGHT": ("RADAR_FRONT_RIGHT", "RADAR_BACK_RIGHT"),
    "CAM_BACK": ("RADAR_BACK_LEFT", "RADAR_BACK_RIGHT"),
}
"""The radars that look where a camera looks, unless others are asked for. The side radars look
abeam, which the rear side cameras see too."""

PRODUCTS = ("accumulated", "dense", "exact")


@dataclass(frozen=True)
class PrepareOptions:
    """What to make of a data set.

    Attributes:
        cameras: channels.
        radars: for every camera these; None: `RADARS_OF_CAMERA`.
        radar_filters: keep only what the devkit's default filters keep; the published data keeps
            all.
        sweeps: how many lidar sweeps before and after the key frame are accumulated, at most.
        masks: folder of <CHANNEL>/<image's stem>.png, not 0 where something movable is; None:
            annotated boxes say what is movable.
        leave_out: of `PRODUCTS`.
        keep_last: whether the last key frame of a scene is kept, which published data skip.

    Raises:
        InputError: a camera or radar is given twice.
    """

    cameras: tuple[str, ...] = ("CAM_FRONT",)
    radars: tuple[str, ...] | None = None
    radar_filters: bool = False
    sweeps: int = 80
    masks: Path | None = None
    leave_out: tuple[str, ...] = ()
    keep_last: bool = False

    def __post_init__(self) -> None:
        for what, given in (("cameras", self.cameras), ("radars", self.radars or ())):
            if len(set(given)) < len(given):
                raise InputError(f"{what} {' '.join(given)}: give each once")

    @property
    def shows_trails(self) -> bool:
        """Whether what moves leaves trails in a scene in which nothing is annotated."""
        return self.masks is None and not {"accumulated", "dense"} <= set(self.leave_out)

    def radars_of(self, camera: str) -> tuple[str, ...]:
        """The radars whose returns go with a camera.

        Raises:
            InputError: the camera is unknown and no radars were given.
        """
        if self.radars is not None:
            return self.radars
        if camera not in RADARS_OF_CAMERA:
            raise InputError(f"{camera}: which radars look that way? name them on the command line")
        return RADARS_OF_CAMERA[camera]

    def record(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return json.loads(json.dumps(asdict(self), default=str))
