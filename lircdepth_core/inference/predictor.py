"""Depth and its uncertainty for one image and its radar returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.inference.artefacts import Artefacts, CacheError
from lircdepth_core.inference.backends import (
    AutomaticBackend,
    Backend,
    Int8Network,
    RecentSizes,
    nothing_kept,
    open_backend,
    requested_backend,
)
from lircdepth_core.inference.calibration import SIGMA_SHARE, Calibration
from lircdepth_core.inference.device import choose_device, cuda_devices
from lircdepth_core.inference.framing import Framing, frame
from lircdepth_core.inference.model_description import ModelDescription
from lircdepth_core.inference.model_files import (
    find_model,
    int8_network,
    load_network,
    read_description,
)
from lircdepth_core.inference.usual_camera import trial_size, usual_camera
from lircdepth_core.inference.visible_structure import structure_share
from lircdepth_core.network import SIZE_MULTIPLE, DeploymentGraph
from lircdepth_core.radar import RadarReturns

MAX_NETWORK_PIXELS = 1_600_000
"""Of a network's input, where nothing else is asked for: room for whole images of nuScenes' front
cameras at the focal length of published checkpoints, padded (1632x928 of Boston's cars)."""

_NOTABLE_ENLARGEMENT = 2.0
_NOTABLE_UNSEEN_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about one image.

    Attributes:
        camera: of the maps: that of the image, or at the network's size the part of it that the
            network saw.
        depth: (H, W) float32 metres along the optical axis, NaN where there is none.
        sigma: (H, W) float32 metres, half-width around depth that holds 68.3 % of the errors; NaN
            where depth is, and everywhere if the model is not calibrated.
        radar_points: number of returns that fell into the image.
        notes: what a user should know about this prediction, in words.
        doubts: those of the notes that say that depth and sigma may be wrong.
        structure: share of the image that shows something, see `structure_share`.
        stage_seconds: time spent in `prepare`, `infer` and `restore`.
    """

    camera: Camera
    depth: np.ndarray
    sigma: np.ndarray
    radar_points: int
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    structure: float
    stage_seconds: Mapping[str, float]
    _maps: _NetworkMaps = field(repr=False)

    @property
    def expected_uncertainty(self) -> np.ndarray:
        """The head's expected U, not in metres; made when it is asked for.

        Returns:
            (H, W) float32 in 0..1, NaN outside a crop, and everywhere for a network without the
            head.
        """
        return self._maps.restored(self._maps.uncertainty)

    @property
    def depth_scale(self) -> float:
        """By what the network's depth was multiplied, not 1 where an image had to be shrunk."""
        return self._maps.framing.ratio

    def interval(self, share: float) -> np.ndarray:
        """Half-width around depth that holds `share` of the errors.

        Between two shares that the calibration stores it is interpolated linearly.

        Args:
            share: 0.683 gives sigma.

        Returns:
            (H, W) float32 metres, NaN where depth is, and everywhere without calibration.

        Raises:
            InputError: the share is not within 0..1, or outside what the calibration stores.
        """
        width = self._maps.half_width(share)
        width[np.isnan(self.depth)] = np.nan
        return width


class Predictor:
    """A model on a device, ready to predict; not to be shared between threads.

    Args:
        model: what the network is.
        network: maps image (1, 3, h, w) and radar (1, 4, h, w) to an output with `depth` in metres
            and, for a student, `uncertainty` in 0..1, both (1, 1, h, w). Its `DeploymentGraph`
            runs.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        backend: one of `BACKENDS`, or `auto`: the fastest of those installed that answer as torch
            in float32 does, tried once per machine and size.
        max_network_pixels: bound on the network's input. A larger image is shrunk further, which
            `notes` report.
        max_sigma: metres; pixels above become NaN, for which the model must be calibrated. None
            leaves all.
        artefacts: where built forms of the network are kept; None for nowhere, then only torch
            runs it.
        report: is told, in words, before something takes long.
        int8: the network in 8-bit integers, if there is one.
        at_network_size: give depth and sigma as the network sees the image, smaller, instead of
            enlarged to the image's size.
        warn: is told, in words, why torch answers from now on instead of what `auto` chose; None:
            `report` is.

    Attributes:
        model: what the network is.
        device: the device in use.

    Raises:
        InputError: an argument is out of range or not available here.
    """

    def __init__(
        self,
        model: ModelDescription,
        network: torch.nn.Module,
        device: str = "auto",
        backend: str = "auto",
        max_network_pixels: int = MAX_NETWORK_PIXELS,
        max_sigma: float | None = None,
        artefacts: Artefacts | None = None,
        report: Callable[[str], None] = lambda text: None,
        int8: Int8Network | None = None,
        at_network_size: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        if max_network_pixels < SIZE_MULTIPLE**2:
            raise InputError(
                f"max_network_pixels: {max_network_pixels}; give {SIZE_MULTIPLE**2} or more"
            )
        if max_sigma is not None and not max_sigma > 0:
            raise InputError(f"max_sigma: {max_sigma} metres; give a positive number or none")
        if max_sigma is not None and model.calibration is None:
            raise InputError(
                f"max_sigma: {model.name} is not calibrated, so no pixel's sigma is known; give "
                "none (the node: 0), or a model after lircdepth calibrate"
            )
        self.model = model
        self.device = choose_device(device, cuda_devices())
        graph = DeploymentGraph(network)
        self._requested = requested_backend(backend, self.device)
        self._no_artefacts = ""  # `load` knows why there are none
        self._network: Backend
        if self._requested == "auto":
            size = trial_size(model.input, max_network_pixels)
            self._network = AutomaticBackend(
                graph, self.device, size, artefacts, report, warn or report
            )
        else:
            self._network = open_backend(
                self._requested, graph, self.device, artefacts, report, int8
            )
        self.max_network_pixels = max_network_pixels
        self._max_sigma = max_sigma
        self._at_network_size = at_network_size
        self._framing: Framing | None = None
        self._answered: RecentSizes[bool] = RecentSizes()

    @classmethod
    def load(
        cls,
        model: str | Path,
        device: str = "auto",
        backend: str = "auto",
        max_network_pixels: int = MAX_NETWORK_PIXELS,
        max_sigma: float | None = None,
        report: Callable[[str], None] = lambda text: None,
        at_network_size: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> Predictor:
        """Read a model folder, given by path or name (see `find_model`).

        Raises:
            InputError: the folder is missing or damaged, or an argument is out of range.
        """
        folder = find_model(model)
        description = read_description(folder)
        network = load_network(folder, description)
        artefacts: Artefacts | None = None
        no_artefacts = ""
        try:
            artefacts = Artefacts.of(description, folder.resolve())
        except CacheError as error:  # torch runs without a cache
            wanted = requested_backend(backend, choose_device(device, cuda_devices()))
            if wanted not in ("auto", "torch"):
                raise
            no_artefacts = nothing_kept(error)
        predictor = cls(
            description,
            network,
            device,
            backend,
            max_network_pixels,
            max_sigma,
            artefacts,
            report,
            int8_network(folder, description),
            at_network_size,
            warn,
        )
        predictor._no_artefacts = no_artefacts
        return predictor

    @property
    def backend(self) -> str:
        """The back end in use; with `auto` it becomes torch where the chosen one fails."""
        if isinstance(self._network, AutomaticBackend):
            return self._network.name
        return self._requested

    @property
    def backend_reason(self) -> str:
        """Why this back end, in words; empty if it was asked for."""
        if isinstance(self._network, AutomaticBackend):
            return self._network.reason or self._no_artefacts
        return ""

    @property
    def description(self) -> str:
        """One line for logs."""
        model = self.model
        trained = "trained" if model.trained else "UNTRAINED: its depth is meaningless"
        reason = f" ({self.backend_reason})" if self.backend_reason else ""
        calibrated = "calibrated" if model.calibration else "not calibrated (sigma is NaN)"
        return (
            f"{model.name} ({model.network}), {trained}, {calibrated}, on {self.device} with "
            f"{self.backend}{reason}, images scaled to a focal length of "
            f"{model.input.focal_length:g} px and at most {self.max_network_pixels} pixels"
        )

    def warm_up(self, width: int | None = None, height: int | None = None) -> None:
        """Predict once on a grey image at the model's focal length, so that the first is not slow.

        Where the model's crop begins below such an image, it is a higher one of as many pixels.

        Args:
            width: pixels; None: of the field of view of nuScenes' front camera.
            height: the same.
        """
        size = None if width is None or height is None else (width, height)
        camera = usual_camera(self.model.input, self.max_network_pixels, size)
        try:
            self._framing_of(camera)
        except InputError:  # the crop lies so far below that no camera can be meant
            return
        self(np.full((camera.height, camera.width, 3), 128, np.uint8), camera, None)

    def is_ready_for(self, camera: Camera) -> bool:
        """Whether a back end need build nothing for a camera's images.

        It may where no image of the network's size for them was answered, or none of late: the
        focal length decides on that as much as the image's size.

        Raises:
            InputError: the model's crop lies outside such images.
        """
        width, height = self._framing_of(camera).network_size
        return (height, width) in self._answered

    def output_camera(self, camera: Camera) -> Camera:
        """The camera of the maps for images of a camera.

        Raises:
            InputError: the model's crop lies outside such images.
        """
        framing = self._framing_of(camera)
        return framing.seen if self._at_network_size else camera

    def __call__(
        self,
        image: np.ndarray,
        camera: Camera,
        radar: RadarReturns | None,
        out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Prediction:
        """Predict depth.

        Args:
            image: (H, W, 3) uint8 RGB, rectified.
            camera: the image's camera.
            radar: returns in the camera's optical frame at the image's time; None for none.
            out: two C-contiguous float32 arrays of `output_camera`'s size that depth and sigma are
                written into, instead of new ones.

        Raises:
            InputError: the image is not of this type or not of the camera's size, or the model's
                crop lies outside it, or `out` does not fit.
            NonFiniteError: the network answered with NaN, infinity or less than 0 where it saw
                the image.
        """
        start = time.perf_counter()
        if image.dtype != np.uint8 or image.shape != (camera.height, camera.width, 3):
            raise InputError(
                f"image: {image.dtype} {image.shape}; give uint8 "
                f"({camera.height}, {camera.width}, 3), the camera's size"
            )
        framing = self._framing_of(camera)
        visible = (radar if radar is not None else RadarReturns.empty()).visible_in(camera)
        scaled = framing.image(image, self.model.input.interpolation)
        structure = structure_share(scaled[: framing.seen.height, : framing.seen.width])
        radar_image = framing.radar(visible)
        prepared = time.perf_counter()
        depth, uncertainty = self._network(scaled, radar_image)
        self._answered.get(scaled.shape[0], scaled.shape[1], lambda rows, columns: True)
        blind, calibration = self.model.is_blind(structure), self.model.calibration_for(structure)
        maps = _NetworkMaps(framing, calibration, depth, uncertainty, self._at_network_size)
        self._check_finite(maps)
        inferred = time.perf_counter()

        depth_out, sigma_out = (None, None) if out is None else out
        depth = maps.restored(maps.depth * np.float32(framing.ratio), depth_out)
        sigma = maps.half_width(SIGMA_SHARE, sigma_out)
        if self._max_sigma is not None:
            beyond = sigma > self._max_sigma
            depth[beyond] = sigma[beyond] = np.nan
        return Prediction(
            camera=maps.camera,
            depth=depth,
            sigma=sigma,
            radar_points=len(visible),
            notes=self._notes(camera, len(visible), blind),
            doubts=(*self._doubts(camera), *self._blind_doubts(blind)),
            structure=structure,
            stage_seconds={
                "prepare": prepared - start,
                "infer": inferred - prepared,
                "restore": time.perf_counter() - inferred,
            },
            _maps=maps,
        )

    def _check_finite(self, maps: _NetworkMaps) -> None:
        """Refuse an answer that is no number from 0 somewhere in what the network saw.

        A single pixel is enough: its neighbours come of the same sums, and a sigmoid makes a
        plausible 100 m of an infinity. As NaN with a notice it would be a hole among such depths.
        """
        region = (slice(maps.framing.seen.height), slice(maps.framing.seen.width))
        answers = {"depth": maps.depth}
        if self.model.calibration is not None:  # otherwise there may be no head
            answers["uncertainty"] = maps.uncertainty
        for name, values in answers.items():
            usable = np.isfinite(values[region]) & (values[region] >= 0)
            if not usable.all():
                other = "back end (torch) or device"
                if self.backend == "torch":
                    other = "device, or fetch the model again"
                raise NonFiniteError(
                    f"the network: {name} is negative or not finite at "
                    f"{usable.size - usable.sum()} of {usable.size} pixels, on {self.device} with "
                    f"{self.backend}; give another {other}"
                )

    def _framing_of(self, camera: Camera) -> Framing:
        """Made anew only for another camera."""
        framing = self._framing
        if framing is None or framing.camera is not camera:
            framing = frame(camera, self.model.input, self.max_network_pixels)
            self._framing = framing
        return framing

    def _notes(self, camera: Camera, radar_points: int, blind: bool) -> tuple[str, ...]:
        """What a user should know about a prediction."""
        notes = [*self._untrained()]
        if self.model.calibration is None:
            notes.append("the model is not calibrated: sigma is NaN")
        notes += self.camera_notes(camera)
        if not radar_points:
            notes.append("no radar return in the image: depth from the camera alone")
        return (*notes, *self._blind_doubts(blind))

    def _blind_doubts(self, blind: bool) -> tuple[str, ...]:
        if not blind:
            return ()
        return ("the image shows next to nothing: depth is a guess, and sigma that of such images",)

    def _untrained(self) -> tuple[str, ...]:
        return () if self.model.trained else ("the model is UNTRAINED: its depth is meaningless",)

    def _doubts(self, camera: Camera) -> tuple[str, ...]:
        """Why depth and sigma may be wrong."""
        return (*self._untrained(), *self._camera_doubts(camera))

    def _camera_doubts(self, camera: Camera) -> list[str]:
        framing = self._framing_of(camera)
        notes = []
        if framing.ratio < 1:
            notes.append(
                f"focal length reduced to {framing.ratio:.3f} of the model's to stay within "
                f"max_network_pixels {self.max_network_pixels}; depth and sigma are scaled for it, "
                "but errors grow more than sigma does"
            )
        crop = self.model.input.crop
        wanted = 0 if crop is None else round(crop.height * framing.ratio)
        if framing.seen.height < wanted:
            notes.append(
                f"the image gives {framing.seen.height} of the {wanted} rows that the model was "
                "taught with; it measures from the edges and may be wrong"
            )
        return notes

    def camera_notes(self, camera: Camera) -> tuple[str, ...]:
        """What is to be known of all depth for a camera's images.

        Raises:
            InputError: the model's crop lies outside such images.
        """
        framing = self._framing_of(camera)
        notes = self._camera_doubts(camera)
        unseen = 1 - framing.seen.height / framing.scaled.height
        if unseen > _NOTABLE_UNSEEN_SHARE:
            below = framing.scaled.height - framing.top - framing.seen.height
            notes.append(
                f"the model's crop leaves out {unseen:.0%} of the image's rows, {framing.top} "
                f"above and {below} below of {framing.scaled.height} at its focal length: there is "
                "no depth"
            )
        if framing.enlargement > _NOTABLE_ENLARGEMENT:
            notes.append(
                f"image enlarged {framing.enlargement:.1f} times to reach the model's focal "
                "length; it holds less detail than the model was taught with"
            )
        return tuple(notes)


@dataclass(frozen=True, eq=False)
class _NetworkMaps:
    """The network's maps at its own size and focal length, and how to bring them back."""

    framing: Framing
    calibration: Calibration | None
    depth: np.ndarray
    uncertainty: np.ndarray
    at_network_size: bool

    @property
    def camera(self) -> Camera:
        """Of what `restored` gives."""
        return self.framing.seen if self.at_network_size else self.framing.camera

    def restored(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """A map of the network without padding, at the size of `camera`."""
        size = (self.camera.height, self.camera.width)
        if out is not None and not (
            out.shape == size and out.dtype == np.float32 and out.flags.c_contiguous
        ):
            raise InputError(f"out: {out.dtype} {out.shape}; give C-contiguous float32 {size}")
        restore = self.framing.unpadded if self.at_network_size else self.framing.restore
        return restore(values, out)

    def half_width(self, share: float, out: np.ndarray | None = None) -> np.ndarray:
        """(H, W) float32 metres at the size of `camera`, NaN without calibration."""
        if not 0 < share < 1:
            raise InputError(f"share {share:g}: give a number between 0 and 1")
        if self.calibration is None:
            width = np.full(self.depth.shape, np.nan, np.float32)
        else:
            width = self.calibration(self.depth, self.uncertainty, share)
        return self.restored(width * np.float32(self.framing.ratio), out)
