from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evaluation_rig import (
    HEIGHT,
    WIDTH,
    BrightnessNetwork,
    MadeSamples,
    brightness_model,
    make_sample,
)

from lircdepth_core.calibration.pixel_errors import collect_errors
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_maker import MAX_BOXES, OBJECT_CLASSES
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.evaluation.evaluate import evaluate, measured_shares
from lircdepth_core.evaluation.frames import draw_frame
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.report import report_page
from lircdepth_core.evaluation.results import definitions, results
from lircdepth_core.evaluation.sources import SampleSource
from lircdepth_core.evaluation.tables import truth_tables
from lircdepth_core.inference import Predictor

OPTIONS = EvaluationOptions()


def _source(*samples: Sample) -> SampleSource:
    def read(
        wanted: Callable[[int], bool], damaged: Callable[[InputError], None]
    ) -> Iterator[tuple[int, Sample]]:
        return ((number, sample) for number, sample in enumerate(samples) if wanted(number))

    return read


def test_two_processes_add_up_what_one_does_to_the_last_bit() -> None:
    predictor = brightness_model()
    # Without the numbers 2, 3 and 4 the workers get out of step.
    source = MadeSamples(8, lost=range(2, 5))
    one = evaluate(source, brightness_model(), OPTIONS)
    two = evaluate(source, brightness_model(), OPTIONS, workers=2, load_predictor=brightness_model)
    assert one.images == 5
    found = results(one, predictor, "made")
    assert found == results(two, predictor, "made")
    assert [row["number"] for row in found["truths"]["exact"]["per_image"]] == [0, 1, 5, 6, 7]
    assert found["data"]["skipped"] == ["lost.tar: cannot be read"]


def test_the_depth_error_of_every_image_against_every_truth() -> None:
    samples = [make_sample(number) for number in range(3)]
    evaluation = evaluate(_source(*samples), brightness_model(), OPTIONS)
    predictor = brightness_model()
    for truth in ("single_scan", "exact"):
        errors = []
        for sample in samples:
            depth = predictor(sample.image, sample.camera, sample.radar_returns()).depth
            true_depth = getattr(sample, truth)
            used = (true_depth > 0) & (true_depth <= 70)
            errors.append(np.abs(depth[used] - true_depth[used]).mean())
        summary = evaluation.totals[truth]["full"].summary(OPTIONS, evaluation.shares)
        assert summary["depth"]["70"]["mae"] == pytest.approx(np.mean(errors), rel=1e-6)


def test_the_network_sees_the_changed_radar() -> None:
    evaluation = evaluate(MadeSamples(2), brightness_model(), OPTIONS)
    mae = {
        change: totals.summary(OPTIONS, evaluation.shares)["depth"]["80"]["mae"]
        for change, totals in evaluation.totals["exact"].items()
    }
    assert list(mae) == ["full", "none", "half", "shifted"]
    assert len(set(mae.values())) == 4


def test_conditions_are_averaged_apart() -> None:
    evaluation = evaluate(MadeSamples(4), brightness_model(), OPTIONS)
    weather = evaluation.by_condition["exact"]["weather"]
    assert {value: totals.images for value, totals in weather.items()} == {"clear": 2, "rain": 2}
    rows = {row["key"]: row["mae"] for row in evaluation.rows["exact"]}
    clear = [rows[make_sample(number).key] for number in (0, 3)]
    found = weather["clear"].summary(OPTIONS, evaluation.shares)["depth"]["80"]["mae"]
    assert found == pytest.approx(np.mean(clear))


def test_cameras_are_told_apart_where_there_are_several() -> None:
    made = [make_sample(0), make_sample(1, channel="CAM_BACK"), make_sample(5)]
    predictor = brightness_model()
    found = results(evaluate(_source(*made), predictor, OPTIONS), predictor, "made")
    cameras = found["truths"]["exact"]["by_condition"]["camera"]
    told = {camera: (part["images"], part["scenes"]) for camera, part in cameras.items()}
    assert told == {"CAM_FRONT": (2, 2), "CAM_BACK": (1, 1)}
    one = results(evaluate(_source(made[0]), predictor, OPTIONS), predictor, "made")
    assert list(one["truths"]["exact"]["by_condition"]) == ["weather"]


def test_a_sample_without_truth_is_left_out_and_named() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    samples = [make_sample(0), make_sample(1, single_scan=nothing), make_sample(2, exact=None)]
    evaluation = evaluate(_source(*samples), brightness_model(), OPTIONS)
    assert evaluation.images == 3
    assert evaluation.left_out == {"single_scan": [samples[1].key]}
    assert evaluation.totals["single_scan"]["full"].images == 2
    assert evaluation.totals["exact"]["full"].images == 2


def test_a_truth_of_which_no_image_has_a_pixel_stands_on_the_page() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    predictor = brightness_model()
    source = _source(make_sample(0, single_scan=nothing), make_sample(1, single_scan=nothing))
    page = report_page(
        results(evaluate(source, predictor, OPTIONS), predictor, "made"), [], "exact"
    )
    assert "Against single lidar scan: all 2 images are left out" in page


def test_changed_radar_is_averaged_over_the_images_that_all_radar_answers() -> None:
    class Shy(Predictor):
        """Says nothing of a bright image that has radar, as where sigma is beyond max_sigma."""

        def __call__(self, image, camera, radar, *arguments):
            prediction = super().__call__(image, camera, radar, *arguments)
            if image.min() > 200 and radar is not None:
                prediction.depth[:] = np.nan
            return prediction

    predictor = Shy(brightness_model().model, BrightnessNetwork(), device="cpu")
    bright = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    samples = [make_sample(0), make_sample(1, image=bright)]
    options = EvaluationOptions(radar=("full", "none"))
    evaluation = evaluate(_source(*samples), predictor, options)
    assert evaluation.left_out["exact"] == [samples[1].key]
    found = results(evaluation, predictor, "made")["truths"]["exact"]["by_radar"]
    assert {change: summary["images"] for change, summary in found.items()} == {
        "full": 1,
        "none": 1,
    }
    assert {change: summary["answered"] for change, summary in found.items()} == {
        "full": 0.5,
        "none": 1,
    }


class Overflowing(BrightnessNetwork):
    """Answers a bright image in NaN, as half precision does that overflows."""

    def forward(self, image: torch.Tensor, radar: torch.Tensor) -> SimpleNamespace:
        answer = super().forward(image, radar)
        answer.depth[image.mean() > 1.5] = torch.nan
        return answer


def test_a_sample_that_the_network_answers_in_nan_is_named() -> None:
    predictor = Predictor(brightness_model().model, Overflowing(), device="cpu")
    bright = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    samples = [make_sample(0), make_sample(5, image=bright)]
    said = r"sample scene-1/sample-5/CAM_FRONT: the network: depth is negative or .*; give another"
    with pytest.raises(NonFiniteError, match=said):
        evaluate(_source(*samples), predictor, OPTIONS)
    with pytest.raises(NonFiniteError, match=said):
        draw_frame(samples[1], predictor, "exact", 80.0)
    with pytest.raises(NonFiniteError, match=said):
        collect_errors(_source(*samples), predictor, truth="exact", cap=80.0, pixels_per_image=10)


class HalfUnsure(BrightnessNetwork):
    """Its uncertainty is no number in some columns."""

    def forward(self, image: torch.Tensor, radar: torch.Tensor) -> SimpleNamespace:
        answer = super().forward(image, radar)
        answer.uncertainty[..., :3] = torch.nan
        return answer


def test_an_uncertainty_that_is_no_number_in_places_is_not_ranked() -> None:
    predictor = Predictor(brightness_model(calibrated=False).model, HalfUnsure(), device="cpu")
    said = (
        r"scene-0/sample-0/CAM_FRONT: the network: uncertainty is not finite at \d+ of \d+ pixels"
    )
    with pytest.raises(NonFiniteError, match=said):
        evaluate(_source(make_sample(0)), predictor, OPTIONS)


def test_scenes_without_annotation_have_no_content() -> None:
    plain = make_sample(0, annotated=False, boxes=np.zeros((0, 4), np.float32))
    for samples, contents in (
        ([plain], None),
        ([plain, make_sample(1, boxes=plain.boxes)], {"background", "object", "unknown"}),
    ):
        evaluation = evaluate(
            _source(*samples), brightness_model(), EvaluationOptions(radar=("full",))
        )
        found = results(evaluation, brightness_model(), "made")
        truth = found["truths"]["exact"]
        by_content = truth["by_radar"]["full"]["by_content"]
        assert (set(by_content) if by_content else None) == contents
        text = "\n".join(table.text() for table in truth_tables(truth, found["options"]))
        assert ("none, the data is not annotated" in text) == (contents is None)


def test_what_counts_as_an_object_is_said_as_it_is_prepared() -> None:
    said = definitions(OPTIONS)["by_range, by_content"]
    assert f"at most the {MAX_BOXES} nearest" in said
    kinds = [kind.split(".")[1] for kind in OBJECT_CLASSES]
    assert all(kind in said for kind in kinds)


def test_intervals_are_those_asked_for_and_those_stored() -> None:
    options = EvaluationOptions(coverage_shares=(0.3, 0.6, 0.9))
    assert measured_shares(brightness_model(), options) == (0.5, 0.6, 0.683, 0.9, 0.95)
    assert measured_shares(brightness_model(calibrated=False), options) == ()


def test_a_network_that_sees_less_than_its_model_asks_for_is_told() -> None:
    bound = HEIGHT * WIDTH // 2
    whole = brightness_model()
    shrunk = Predictor(whole.model, BrightnessNetwork(), "cpu", max_network_pixels=bound)
    for predictor, said in (
        (whole, []),
        (shrunk, [f"3 of 3 images: .*max_network_pixels {bound};"]),
    ):
        evaluation = evaluate(MadeSamples(3), predictor, EvaluationOptions(radar=("full",)))
        found = results(evaluation, predictor, "made")
        assert len(found["data"]["notes"]) == len(said)
        assert all(map(re.match, said, found["data"]["notes"]))
        assert found["model"]["max_network_pixels"] == predictor.max_network_pixels
        assert (found["model"]["device"], found["model"]["backend"]) == ("cpu", "torch")
        errors = collect_errors(
            MadeSamples(2), predictor, truth="exact", cap=80.0, pixels_per_image=10
        )
        assert len(errors.notes) == len(said)


def test_an_uncalibrated_model_is_ranked_by_its_expected_uncertainty() -> None:
    predictor = brightness_model(calibrated=False)
    evaluation = evaluate(MadeSamples(2), predictor, EvaluationOptions(radar=("full",)))
    found = results(evaluation, predictor, "made")
    uncertainty = found["truths"]["exact"]["by_radar"]["full"]["uncertainty"]
    assert uncertainty["score"] == "expected_uncertainty"
    assert "coverage" not in uncertainty
    assert any("not calibrated" in note for note in found["model"]["notes"])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((), "no sample that can be read; prepare some"),
        ((make_sample(0), make_sample(1), make_sample(0)), "scene-0/sample-0/CAM_FRONT: .*twice"),
        (
            (make_sample(0, exact=None, single_scan=np.zeros((HEIGHT, WIDTH), np.float32)),),
            "none of 1 samples has a pixel",
        ),
    ],
)
def test_data_that_cannot_be_evaluated(samples: tuple[Sample, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(_source(*samples), brightness_model(), EvaluationOptions(radar=("full",)))


def test_data_of_which_nothing_can_be_read() -> None:
    with pytest.raises(InputError, match=r"no sample that can be read; lost.tar: cannot"):
        evaluate(MadeSamples(2, lost=range(2)), brightness_model(), OPTIONS)


@pytest.mark.parametrize(
    ("cap", "step", "last"),
    [(4.9, 0.7, 4.2), (42.0, 1.4, 40.6), (80.0, 10.0, 70.0), (5.0, 2.0, 4.0)],
)
def test_the_last_range_is_no_sliver(cap: float, step: float, last: float) -> None:
    options = EvaluationOptions(caps=(cap,), range_step=step)
    assert options.range_edges[-2:].tolist() == pytest.approx([last, cap])
    assert options.range_edges[-1] == cap
    assert options.prediction_edges[-2] == pytest.approx(last + step)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"caps": (70.0, 50.0)}, "caps: 70, 50; give increasing"),
        ({"caps": (0.0, 50.0)}, "caps"),
        ({"caps": ()}, "caps"),
        ({"coverage_shares": (0.5, 1.0)}, "coverage: 0.5, 1; give"),
        ({"range_step": 0.0}, "range_step"),
        ({"radar_shift": np.nan}, "radar_shift"),
        ({"radar": ("half",)}, "radar: give full first"),
        ({"radar": ("full", "double")}, "radar: no double"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvaluationOptions(**options)
