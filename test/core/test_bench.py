"""`lircdepth bench` measures each back end in a process of its own, against the baseline."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from lircdepth_core import cli
from lircdepth_core.benchmark import command
from lircdepth_core.benchmark.candidate import BASELINE, Candidate, CandidateProcess, peak_memory
from lircdepth_core.benchmark.measure import Speed, as_record, count_operations, measure
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.inference.model_files import find_model


@pytest.fixture(scope="module")
def model() -> Path:
    return find_model("models/lircdepth")


def test_a_bench_tells_and_keeps_what_it_measured(tmp_path, capsys):
    pytest.importorskip("webdataset", reason="needs the extra 'train'")
    from training_rig import write_shards

    out = tmp_path / "bench"
    write_shards(tmp_path / "samples", [3, 2])
    arguments = ["--backends", "torch", "torch-half", "--sizes", "64x32", "--runs", "5"]
    samples = ["--samples", str(tmp_path / "samples"), "--images", "9"]
    assert (
        cli.main(["bench", "models/lircdepth-s-352x192", "--out", str(out), *arguments, *samples])
        == 0
    )
    text = capsys.readouterr().out
    record = json.loads((out / "bench.json").read_text())
    assert record["device"] == "cpu" or record["device"].startswith("cuda")
    assert record["machine"]["processor"] in text
    assert "onnxruntime" in record["machine"]["other back ends"]
    speeds = {speed["backend"]: speed for speed in record["speeds"]}
    assert list(speeds) == [BASELINE, "torch", "torch-half"]
    for name, speed in speeds.items():
        assert name in text
        assert speed["failure"] == ""
        assert (speed["width"], speed["height"]) == (64, 32)
        assert 0 < speed["p50"] <= speed["p95"] < speed["load_seconds"]
        assert speed["per_second"] > 0
        assert speed["peak_memory"] > 1e8
        assert 0 < speed["share_of_peak"] < 1
    assert speeds[BASELINE]["deviation"] == 0
    assert speeds[BASELINE]["ratio"] == pytest.approx(1, abs=0.7)
    assert 0 < speeds["torch"]["deviation"] < 1e-5 < speeds["torch-half"]["deviation"] < 0.02
    assert cv2.imread(str(out / "bench.png")).std() > 5
    stages = record["stages"]
    assert stages["backend"] in ("torch", "torch-half")
    assert list(stages["seconds"]) == ["prepare", "infer", "restore"]
    for name, seconds in stages["seconds"].items():
        assert f"{name} {1000 * seconds:.1f} ms" in text
    # The model's focal length makes 352x192 of such an image: many times 64x32.
    assert stages["seconds"]["infer"] > max(stages["seconds"]["prepare"], speeds["torch"]["p50"])

    # The error on the samples is that of an evaluation.
    assert speeds[BASELINE]["error"] is None
    assert speeds[BASELINE]["within_sigma"] is None
    held = speeds["torch"]["within_sigma"]
    assert 0 < held <= 1
    evaluate = ["evaluate", "models/lircdepth-s-352x192", samples[1], "--radar", "--frames", "0"]
    assert cli.main([*evaluate, "--out", str(tmp_path / "evaluation")]) == 0
    found = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    expected = found["truths"]["exact"]["by_radar"]["full"]["depth"]["80"]["mae"]
    assert speeds["torch"]["error"] == pytest.approx(expected, rel=1e-5)
    assert re.search(rf"{expected:.3f} +{100 * held:.1f} %", text)


def test_a_process_that_died_is_told(model):
    with CandidateProcess(Candidate(BASELINE, model, "cpu", 32, 32)) as candidate:
        candidate._process.kill()
        with pytest.raises(InputError, match="its process ended with status -9"):
            candidate.run(1)


def test_what_fails_does_not_end_the_rest(model, monkeypatch, tmp_path, capsys):
    pytest.importorskip("webdataset", reason="needs the extra 'train'")
    from training_rig import write_shards

    from lircdepth_core.evaluation import sampled_error

    def fail(*_):
        raise RuntimeError("CUDA out of memory\nsee above")

    def overflow(*_):
        raise NonFiniteError("sample a: the network: depth is not finite")

    monkeypatch.setattr(sampled_error, "sampled_error", overflow)
    write_shards(tmp_path / "samples", [1])
    kind = command.BACKENDS["torch"]
    monkeypatch.setitem(command.BACKENDS, "unheard-of", kind)  # the other process knows no such
    monkeypatch.setattr(command, "predictor_stages", fail)
    arguments = ["--backends", "unheard-of", "torch", "--sizes", "32x32", "--runs", "1"]
    arguments += ["--samples", str(tmp_path / "samples")]
    assert cli.main(["bench", str(model), *arguments, "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith("torch: fails: RuntimeError: CUDA out of memory see above")
    assert any("torch on the samples: sample a: the network: depth is" in line for line in lines)
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["stages"] is None
    assert record["speeds"][-1]["p50"] > 0
    assert record["speeds"][-1]["error"] is None
    (failed,) = (line for line in lines if line.split()[:1] == ["unheard-of"])
    assert failed.split()[1:] == ["fails"] * 10
    assert any("KeyError: 'unheard-of'" in line for line in lines)
    measured, _ = (line for line in lines if line.split()[:1] == ["torch"])
    assert "fails" not in measured


def test_samples_that_are_not_there_are_told_before_anything_is_measured(tmp_path, capsys):
    arguments = ["--backends", "torch", "--samples", str(tmp_path / "nowhere")]
    assert cli.main(["bench", "models/lircdepth", *arguments]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "nowhere" in error


@pytest.mark.parametrize(("backend", "starts"), [("torch", 1), ("torch-compiled", 2)])
def test_what_builds_something_is_measured_at_its_second_start(backend, starts, model, monkeypatch):
    started = []

    class Process:
        load_seconds = 1.0

        def __init__(self, candidate):
            started.append(candidate.backend)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def run(self, times):
            return [0.1] * times

        def depths(self):
            return [np.ones((2, 2))]

        def peak_memory(self):
            return 10**8

        def matrix_multiply_rate(self):
            return 1e9

    monkeypatch.setattr("lircdepth_core.benchmark.measure.CandidateProcess", Process)
    found = measure(model, "cpu", [backend], [(32, 32)], 5, print)
    assert started == [BASELINE, BASELINE, *[backend] * starts]
    assert [speed.failure for speed in found] == ["", ""]


def test_an_error_at_work_is_said_by_the_process(model):
    words = "baseline: TypeError: .* cannot be interpreted as an integer"
    candidate = CandidateProcess(Candidate(BASELINE, model, "cpu", 32, 32))
    with candidate, pytest.raises(InputError, match=words):
        candidate.run("often")


def test_a_baseline_that_fails_at_one_size_leaves_the_others(model, monkeypatch):
    def at_size(model, device, backends, size, runs, report):
        if size == (64, 32):
            raise InputError("baseline: its process ended with status -9")
        return [Speed(name, *size) for name in (BASELINE, *backends)]

    monkeypatch.setattr("lircdepth_core.benchmark.measure._at_size", at_size)
    found = measure(model, "cpu", ["torch"], [(64, 32), (32, 32)], 1, print)
    assert [(speed.backend, speed.width, bool(speed.failure)) for speed in found] == [
        (BASELINE, 64, True), ("torch", 64, True), (BASELINE, 32, False), ("torch", 32, False),
    ]  # fmt: skip


def test_what_cannot_be_loaded_is_said_by_the_process(model):
    with pytest.raises(InputError, match=r"tensorrt: .*onnxruntime"):
        CandidateProcess(Candidate("tensorrt", model, "cuda:0", 32, 32))


def test_a_process_does_not_count_its_parents_memory(model):
    ballast = np.ones(150_000_000)
    assert peak_memory() > ballast.nbytes
    with CandidateProcess(Candidate("torch", model, "cpu", 32, 32)) as process:
        assert 1e8 < process.peak_memory() < ballast.nbytes


def test_operations_grow_with_the_area(model):
    small, large = count_operations(model, 32, 64), count_operations(model, 64, 128)
    assert large == pytest.approx(4 * small, rel=0.01)
    # shared/reference: 20.6 GMAC of convolutions at 352x704, without the head.
    assert small * (352 * 704) / (32 * 64) == pytest.approx(2 * 20.6e9, rel=0.02)


def test_the_record_has_no_nan():
    (record,) = as_record([Speed("torch", 64, 32, "no memory")])
    assert record["p50"] is None
    assert json.loads(json.dumps(record, allow_nan=False))["failure"] == "no memory"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs", "0"], "--runs 0: give 1"),
        (["--images", "0"], "--images 0: give 1"),
        (["--sizes", "700x384"], "--sizes 700x384: give multiples of 32"),
        (["--backends", "none"], "'none' is unknown"),
        (["--backends", "torch", "auto"], "--backends auto: it is one of the others"),
        (["--device", "cuda:99"], "cuda:99 is not there"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments, words, capsys):
    assert cli.main(["bench", "models/lircdepth", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_plot_shows_each_size(tmp_path):
    speeds = [Speed(name, 32, 32, p50=0.1, p95=0.2) for name in ("torch", "other")]
    command.plot([*speeds, Speed("bad", 32, 32, "fails")], tmp_path / "plot.png")
    assert np.std(cv2.imread(str(tmp_path / "plot.png"))) > 5


def test_where_all_failed_there_is_no_plot(tmp_path):
    command.plot([Speed("bad", 32, 32, "fails")], tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())
