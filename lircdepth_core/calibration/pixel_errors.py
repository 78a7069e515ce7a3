"""What a model predicted at pixels whose depth is known, and how wrong it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lircdepth_core.dataset.bad_exposure import (
    Exposed,
    Exposure,
    draw_exposure,
    draw_noise,
    with_noise,
)
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.sample_prediction import predict_sample
from lircdepth_core.evaluation.sources import SampleSource
from lircdepth_core.inference import Predictor

Truth = Literal["exact", "single_scan"]

EXPOSURES: tuple[Exposure, ...] = ("as it is", "black", "saturated", "veiled")


@dataclass(frozen=True, eq=False)
class PixelErrors:
    """Pixels of many images; N of them.

    Attributes:
        depth: (N,) float32 metres, predicted, at the focal length of the model.
        uncertainty: (N,) float32 0..1, expected by the head.
        error: (N,) float32 metres, absolute, at the same focal length.
        scene: (N,) integers, number of each pixel's scene.
        exposure: (N,) integers, which of `EXPOSURES` each pixel's image was shown in.
        structure: (N,) float32 0..1, the `structure_share` of that image.
        images: how many images they are of.
        scenes: names of the scenes.
        skipped: what could not be read, and why.
        notes: what is to be known of depth for the images' cameras.
    """

    depth: np.ndarray
    uncertainty: np.ndarray
    error: np.ndarray
    scene: np.ndarray
    exposure: np.ndarray
    structure: np.ndarray
    images: int
    scenes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, chosen: np.ndarray) -> PixelErrors:
        """The chosen pixels, by an (N,) boolean or integer index."""
        kept = {
            name: getattr(self, name)[chosen]
            for name in ("depth", "uncertainty", "error", "scene", "exposure", "structure")
        }
        return dataclasses.replace(self, **kept)


def collect_errors(
    source: SampleSource,
    predictor: Predictor,
    *,
    truth: Truth,
    cap: float,
    pixels_per_image: int,
    bad_exposures: float = 0.0,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> PixelErrors:
    """Predict every sample and take pixels of known depth at random, as many of each image.

    Args:
        source: the samples.
        predictor: the model; its uncertainty head must be trained.
        truth: field of `Sample` that knows.
        cap: metres; truth beyond is not used.
        pixels_per_image: at most.
        bad_exposures: of how many images, 0..1, an almost black form is predicted besides, of as
            many an almost white one, and of as many one behind a veil, one in two with noise.
        seed: of the choice; with it and an image's number, the same pixels are chosen again.
        progress: called after every image.

    Raises:
        InputError: a sample lacks this truth or comes twice, or none has a pixel of it.
        NonFiniteError: the network answered with NaN or infinity; names the sample.
    """
    numbers: dict[str, int] = {}
    columns: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    skipped: list[str] = []
    notes: dict[str, None] = {}
    images = 0
    seen: set[str] = set()

    def damaged(error: InputError) -> None:
        skipped.append(str(error))

    for number, sample in source(lambda number: True, damaged):
        if sample.key in seen:
            raise InputError(f"{sample.key}: comes twice in the data; give every shard once")
        seen.add(sample.key)
        scene = numbers.setdefault(sample.scene, len(numbers))
        rng = np.random.default_rng([seed, number])
        lights = np.random.default_rng([seed, number, 1])
        for exposure, light in _exposures(lights, bad_exposures):
            image = None
            if light != Exposed():
                image = with_noise(light(sample.image), draw_noise(lights), lights)
            errors, structure = _errors(sample, image, predictor, truth, cap)
            chosen = rng.permutation(errors.shape[1])[:pixels_per_image]
            shared = np.array([scene, exposure, structure])
            columns.append(errors[:, chosen])
            labels.append(np.tile(shared[:, None], len(chosen)))
        notes |= dict.fromkeys(predictor.camera_notes(sample.camera))
        images += 1
        if progress:
            progress()
    every = np.hstack(columns) if columns else np.empty((3, 0))
    if not every.shape[1]:
        reason = skipped[0] if skipped else "prepare some with lircdepth prepare"
        raise InputError(f"no sample has a pixel with {truth} depth up to {cap:g} m; {reason}")
    depth, uncertainty, error = every.astype(np.float32)
    scene_of, exposure_of, structure_of = np.hstack(labels)
    return PixelErrors(
        depth,
        uncertainty,
        error,
        scene_of.astype(np.int64),
        exposure_of.astype(np.int64),
        structure_of.astype(np.float32),
        images,
        tuple(numbers),
        tuple(skipped),
        tuple(notes),
    )


def _exposures(rng: np.random.Generator, share: float) -> Iterator[tuple[int, Exposed]]:
    """In which of `EXPOSURES` an image is shown, and the light of each."""
    for number, exposure in enumerate(EXPOSURES):
        chance, light = rng.random(), draw_exposure(exposure, rng)
        if exposure == "as it is" or chance < share:
            yield number, light


def _errors(
    sample: Sample, image: np.ndarray | None, predictor: Predictor, truth: Truth, cap: float
) -> tuple[np.ndarray, float]:
    """(3, pixels) predicted depth, expected uncertainty and absolute error where truth is; and how
    much the image shows that is shown, the sample's own or another.
    """
    true_depth = getattr(sample, truth)
    if true_depth is None:
        raise InputError(f"{sample.key}: has no {truth} depth; give another --truth")
    prediction = predict_sample(predictor, sample, sample.radar_returns(), image)
    known = (true_depth > 0) & (true_depth <= cap) & np.isfinite(prediction.depth)
    depth = prediction.depth[known]
    uncertainty = prediction.expected_uncertainty[known]
    scale = np.float32(prediction.depth_scale)
    error = np.abs(depth - true_depth[known]) / scale
    return np.stack([depth / scale, uncertainty, error]), prediction.structure
