"""Evaluate a model on samples, in one process or several."""

from __future__ import annotations

import heapq
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.evaluation.measures import Measures, PredictedMaps, measure
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.radar_changes import change_radar
from lircdepth_core.evaluation.sample_prediction import predict_sample
from lircdepth_core.evaluation.sources import SampleSource
from lircdepth_core.evaluation.totals import Totals
from lircdepth_core.inference import Predictor
from lircdepth_core.processors import usable_processors

TRUTHS = ("single_scan", "exact")
"""What predictions are compared with, where a sample has it; named as the fields of `Sample`."""

ROW_METRICS = ("mae", "rmse", "abs_rel")
"""What is kept of every image, for the last cap."""


@dataclass(frozen=True, eq=False)
class ImageResult:
    """All measures of one sample.

    Attributes:
        number: the sample's in the data.
        key: the sample's.
        scene: name of its scene.
        conditions: weather, light and the like.
        radar_points: returns in the image.
        backend: that answered.
        notes: what is to be known of depth for its camera.
        truths: those of `TRUTHS` that the sample has.
        measures: by truth and radar change; a truth without a pixel up to the last cap is missing.
    """

    number: int
    key: str
    scene: str
    conditions: dict[str, str]
    radar_points: int
    backend: str
    notes: tuple[str, ...]
    truths: tuple[str, ...]
    measures: dict[str, dict[str, Measures]]


@dataclass(eq=False)
class Evaluation:
    """What a model reaches on a data set.

    Attributes:
        options: those used.
        shares: whose intervals were measured; empty for a model that is not calibrated.
        images: number of samples seen.
        skipped: which shards and samples could not be read, and why.
        notes: what is to be known of depth for their cameras, and of how many images.
        backends: that answered, most often one.
        scenes: names of their scenes, in order.
        truths: those of `TRUTHS` that any sample has.
        left_out: per truth, keys of samples that have it, but no pixel with truth up to the last
            cap and a prediction.
        totals: by truth and radar change.
        by_condition: with all radar, by truth, condition and its value; a condition is also which
            camera it was.
        condition_scenes: names of the scenes that each of these is of.
        rows: per truth, for every image the errors with all radar, at the last cap.
    """

    options: EvaluationOptions
    shares: tuple[float, ...]
    images: int = 0
    skipped: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    backends: list[str] = field(default_factory=list)
    scenes: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    totals: dict[str, dict[str, Totals]] = field(default_factory=dict)
    by_condition: dict[str, dict[str, dict[str, Totals]]] = field(default_factory=dict)
    condition_scenes: dict[str, dict[str, dict[str, set[str]]]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, result: ImageResult) -> None:
        """Add the next image."""
        if result.scene not in self.scenes:
            self.scenes.append(result.scene)
        if result.backend not in self.backends:
            self.backends.append(result.backend)
        for truth in result.truths:
            if truth not in self.truths:
                self.truths.append(truth)
            self._add_measures(truth, result)
        for note in result.notes:
            self.notes[note] = self.notes.get(note, 0) + 1
        self.images += 1

    def _add_measures(self, truth: str, result: ImageResult) -> None:
        by_change = result.measures.get(truth, {})
        for change, measures in by_change.items():
            totals = self.totals.setdefault(truth, {})
            totals.setdefault(change, Totals()).add(measures)
        full = by_change.get("full", Measures({}, {}))
        for condition, value in sorted(result.conditions.items()):
            values = self.by_condition.setdefault(truth, {}).setdefault(condition, {})
            values.setdefault(value, Totals()).add(full)
            if full.compared:
                scenes = self.condition_scenes.setdefault(truth, {}).setdefault(condition, {})
                scenes.setdefault(value, set()).add(result.scene)
        if not full.compared:
            self.left_out.setdefault(truth, []).append(result.key)
            return
        last_cap = full.averages["depth"][-1].tolist()
        self.rows.setdefault(truth, []).append(
            {
                "key": result.key,
                "number": result.number,
                "radar_points": result.radar_points,
                **dict(zip(ROW_METRICS, last_cap[: len(ROW_METRICS)], strict=True)),
            }
        )


def evaluate(
    source: SampleSource,
    predictor: Predictor,
    options: EvaluationOptions,
    *,
    workers: int = 1,
    load_predictor: Callable[[], Predictor] | None = None,
    progress: Callable[[], None] | None = None,
) -> Evaluation:
    """Predict every sample, with the radar as it is and changed, and compare with all truth.

    Args:
        source: the samples; picklable if there are several workers.
        predictor: the model.
        options: what is evaluated.
        workers: number of processes; worker k of N takes the samples k, k + N, ... Results are
            added in the samples' order, so that the totals do not depend on it. A network on the
            CPU does: it rounds differently with another number of threads.
        load_predictor: loads the same model in every worker if there are several; picklable.
        progress: called after every image.

    Raises:
        InputError: no sample can be read, none has truth, a key comes twice, or the model cannot
            be read. A damaged shard or sample is skipped.
        NonFiniteError: the network answered with NaN or infinity; names the sample.
        OSError: the model cannot be read.
    """
    if workers < 1:
        raise InputError(f"workers: {workers}; give 1 or more")
    evaluation = Evaluation(options, measured_shares(predictor, options))
    if workers == 1:
        measured = _measure(source, lambda number: True, predictor, options)
    else:
        assert load_predictor is not None, "several workers need load_predictor"
        measured = _measure_in_processes(source, load_predictor, options, workers)
    seen = set()
    skipped = set()
    for result in measured:
        if isinstance(result, _Skipped):
            skipped.add(result.reason)
            continue
        if result.key in seen:
            raise InputError(f"{result.key}: comes twice in the data; give every shard once")
        seen.add(result.key)
        evaluation.add(result)
        if progress:
            progress()
    # Every worker that meets a damaged shard says the same, each in its own time.
    evaluation.skipped = sorted(skipped)
    if not evaluation.images:
        reason = evaluation.skipped[0] if skipped else "prepare some with lircdepth prepare"
        raise InputError(f"the data has no sample that can be read; {reason}")
    if not evaluation.rows:
        raise InputError(
            f"none of {evaluation.images} samples has a pixel with truth up to "
            f"{options.caps[-1]:g} m and a prediction; check how the data was prepared"
        )
    return evaluation


def measured_shares(predictor: Predictor, options: EvaluationOptions) -> tuple[float, ...]:
    """Shares whose intervals a model can give: those asked for and those its calibration stores."""
    calibration = predictor.model.calibration
    if calibration is None:
        return ()
    stored = calibration.shares.tolist()
    asked = {share for share in options.coverage_shares if stored[0] <= share <= stored[-1]}
    return tuple(sorted(asked | set(stored)))


def measure_sample(
    number: int,
    sample: Sample,
    predictor: Predictor,
    options: EvaluationOptions,
    shares: tuple[float, ...],
) -> ImageResult:
    """All measures of one sample, which has a number in the data."""
    truths = {name: getattr(sample, name) for name in TRUTHS}
    truths = {name: truth for name, truth in truths.items() if truth is not None}
    returns = sample.radar_returns()
    boxes = sample.boxes if sample.annotated else None
    measures: dict[str, dict[str, Measures]] = {}
    for change in options.radar:
        radar = change_radar(returns, change, sample.key, options)
        maps = PredictedMaps.of(predict_sample(predictor, sample, radar), shares)
        for name, truth in truths.items():
            measured = measure(maps, truth, boxes, options)
            if measured is None:
                continue
            by_change = measures.setdefault(name, {})
            # Averages of every change are over the same images.
            comparable = change == "full" or by_change["full"].compared
            by_change[change] = measured if comparable else measured.answered_only()
    return ImageResult(
        number=number,
        key=sample.key,
        scene=sample.scene,
        conditions={"camera": sample.channel, **sample.conditions},
        radar_points=len(returns.visible_in(sample.camera)),
        backend=predictor.backend,
        notes=predictor.camera_notes(sample.camera),
        truths=tuple(truths),
        measures=measures,
    )


@dataclass(frozen=True)
class _Skipped:
    """A shard or sample that cannot be read."""

    reason: str


@dataclass(frozen=True)
class _Finished:
    """A worker has given all its results."""

    worker: int


def _measure(
    source: SampleSource,
    wanted: Callable[[int], bool],
    predictor: Predictor,
    options: EvaluationOptions,
) -> Iterator[ImageResult | _Skipped]:
    """Results of the wanted samples in their order, and what was skipped on the way."""
    shares = measured_shares(predictor, options)
    skipped: list[_Skipped] = []

    def damaged(error: InputError) -> None:
        skipped.append(_Skipped(str(error)))

    for number, sample in source(wanted, damaged):
        yield measure_sample(number, sample, predictor, options, shares)
    yield from skipped


def _measure_in_processes(
    source: SampleSource,
    load_predictor: Callable[[], Predictor],
    options: EvaluationOptions,
    workers: int,
) -> Iterator[ImageResult | _Skipped]:
    """The same in several processes, in the order of the samples."""
    # Forked from a process that has imported everything once, and never used CUDA or threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    loader: Iterable[ImageResult | _Skipped | _Finished | Exception] = DataLoader(
        _Work(source, load_predictor, options, max(1, usable_processors() // workers)),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        multiprocessing_context=context,
    )
    waiting: list[tuple[int, ImageResult]] = []
    reached = [-1.0] * workers
    try:
        for result in loader:
            if isinstance(result, Exception):
                raise result
            if isinstance(result, _Skipped):
                yield result
                continue
            if isinstance(result, _Finished):
                reached[result.worker] = math.inf
            else:
                reached[result.number % workers] = result.number
                heapq.heappush(waiting, (result.number, result))
            # Every worker counts upwards, so that nothing before the slowest can still come.
            while waiting and waiting[0][0] <= min(reached):
                yield heapq.heappop(waiting)[1]
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        first_line = str(error).splitlines()[0]
        raise InputError(f"{first_line}; if memory ran out, use fewer workers") from error


@dataclass(eq=False)
class _Work(IterableDataset):
    """What every process does; errors that a user can mend come back as values."""

    source: SampleSource
    load_predictor: Callable[[], Predictor]
    options: EvaluationOptions
    threads: int

    def __iter__(self) -> Iterator[ImageResult | _Skipped | _Finished | Exception]:
        worker = get_worker_info()
        assert worker is not None
        torch.set_num_threads(self.threads)
        try:
            yield from _measure(
                self.source,
                lambda number: number % worker.num_workers == worker.id,
                self.load_predictor(),
                self.options,
            )
        except (InputError, NonFiniteError, OSError) as error:
            yield error
        yield _Finished(worker.id)


def _as_it_is(result: Any) -> Any:
    return result
