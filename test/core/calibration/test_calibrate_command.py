from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from described_model import describe_model
from evaluation_rig import make_sample, write_shard

from lircdepth_core.calibration.pixel_errors import collect_errors
from lircdepth_core.camera import Camera
from lircdepth_core.cli import main
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.inference import Predictor, write_model
from lircdepth_core.inference.model_description import StoredWeights
from lircdepth_core.inference.model_files import read_description, write_description
from lircdepth_core.network import MAX_DEPTH, Student

CAMERA = Camera(np.array([[200.0, 0, 47.5], [0, 200, 31.5], [0, 0, 1]]), 96, 64)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight samples of two scenes."""
    folder = tmp_path_factory.mktemp("prepared")
    samples = {f"{number:06d}": make_sample(number, camera=CAMERA) for number in range(8)}
    write_shard(folder / "a.tar", samples)
    index = {"format": 1, "shards": [{"file": "a.tar", "samples": 8}]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that answers something, and whose head does too; not to be changed."""
    torch.manual_seed(1)
    network = Student()
    torch.nn.init.normal_(network.uncertainty_head.answer.weight, std=0.5)
    description = describe_model(name="something", weights=StoredWeights("", ""))
    folder = tmp_path_factory.mktemp("written") / "model"
    write_model(folder, network.eval(), description, "card")
    return folder


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(written, tmp_path / "model"))


def test_a_calibrated_model_gives_a_sigma_that_holds_two_thirds_of_the_errors(
    model: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--truth", "exact", "--bad-exposures", "0"]
    assert main(["calibrate", str(model), str(shards), *arguments]) == 0
    assert "calibrated on 16000 pixels of 8 images, 2 scenes" in capsys.readouterr().out

    predictor = Predictor.load(model, device="cpu")
    held = []
    for number in range(8):
        sample = make_sample(number, camera=CAMERA)
        prediction = predictor(sample.image, sample.camera, sample.radar_returns())
        known = np.isfinite(sample.exact) & (sample.exact <= MAX_DEPTH)
        error = np.abs(prediction.depth - sample.exact)[known]
        held.append(error <= prediction.sigma[known])
    assert np.concatenate(held).mean() == pytest.approx(0.683, abs=0.03)

    report = json.loads((model / "calibration.json").read_text())
    assert report["images"] == 8
    assert report["weights"]["sha256"] == read_description(model).weights.sha256
    assert report["held_out"]["folds"] == 2


def test_badly_exposed_images_are_calibrated_for_and_reported(
    model: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--truth", "exact", "--bad-exposures", "1"]
    assert main(["calibrate", str(model), str(shards), *arguments]) == 0
    out = capsys.readouterr().out
    assert "calibrated on 64000 pixels of 8 images" in out
    report = json.loads((model / "calibration.json").read_text())
    rows = {row["exposure"]: row for row in report["held_out"]["by_exposure"]}
    assert list(rows) == ["as it is", "black", "saturated", "veiled"]
    for name, row in rows.items():
        assert row["pixels"] == 16000
        assert name in out
        assert row["covered"] == pytest.approx(0.683, abs=0.25)
    as_they_are = {row["share"]: row["covered"] for row in report["held_out"]["coverage"]}
    assert as_they_are[0.683] == rows["as it is"]["covered"]


def test_the_same_command_gives_the_same_table(model: Path, shards: Path) -> None:
    texts = []
    for _ in range(2):
        assert main(["calibrate", str(model), str(shards), "--truth", "single_scan"]) == 0
        texts.append((model / "model.yaml").read_text())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("field", ["trained", "uncertainty_trained"])
def test_an_untrained_model_is_refused_and_stays_as_it_is(
    field: str, model: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = read_description(model)
    write_description(model, dataclasses.replace(description, **{field: False}))
    before = (model / "model.yaml").read_text()
    assert main(["calibrate", str(model), str(shards), "--truth", "exact"]) == 2
    assert "must be trained first" in capsys.readouterr().err
    assert (model / "model.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--cap", "0"], "--cap 0: "),
        (["--cap", "101"], "--cap 101: "),
        (["--pixels-per-image", "0"], "--pixels-per-image 0: "),
        (["--bad-exposures", "1.5"], "--bad-exposures 1.5: "),
        (["--seed", "-1"], "--seed -1: give 0 or more"),
        (["{shards}"], "comes twice in the data; give every shard once"),
        (["--cap", "1"], "no sample has a pixel with exact depth up to 1 m"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str],
    complaint: str,
    model: Path,
    shards: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(shards=shards) for argument in arguments]
    command = ["calibrate", str(model), str(shards), *given, "--truth", "exact"]
    assert main(command) == 2
    assert complaint in capsys.readouterr().err


def test_a_model_that_cannot_be_written_to_is_told_before_anything_is_predicted(
    model: Path,
    shards: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def predicted(*_: object, **__: object) -> None:
        pytest.fail("it predicted")

    monkeypatch.setattr(Predictor, "__call__", predicted)
    monkeypatch.setattr("os.access", lambda path, mode: path != model)  # root may write anywhere
    assert main(["calibrate", str(model), str(shards), "--truth", "exact"]) == 2
    assert f"{model}: cannot be written to" in capsys.readouterr().err


def test_a_sample_without_the_truth_asked_for_is_named(model: Path) -> None:
    sample = dataclasses.replace(make_sample(0, camera=CAMERA), exact=None)

    def source(wanted, damaged):
        yield 0, sample

    with pytest.raises(InputError, match=rf"{sample.key}: has no exact depth; give another"):
        collect_errors(
            source,
            Predictor.load(model, device="cpu"),
            truth="exact",
            cap=80,
            pixels_per_image=10,
        )


def test_every_image_weighs_the_same_and_the_sky_nothing(model: Path, shards: Path) -> None:
    found = collect_errors(
        PreparedSamples((str(shards),)),
        Predictor.load(model, device="cpu"),
        truth="exact",
        cap=80,
        pixels_per_image=50,
    )
    assert len(found.error) == 8 * 50
    assert np.bincount(found.scene).tolist() == [200, 200]
    assert np.isfinite(found.error).all()
