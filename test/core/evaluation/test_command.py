from __future__ import annotations

import dataclasses
import json
import re
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from evaluation_rig import brightness_model, make_sample, write_shard

from lircdepth_core import progress
from lircdepth_core.camera import Camera
from lircdepth_core.cli import main
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.frames import choose_frames, thicken
from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.model_files import read_description

MODEL = str(Path(__file__).parents[3] / "models" / "lircdepth")

# The focal length of the repository's model: the small images are not enlarged.
CAMERA = Camera(np.array([[557.0, 0, 47.5], [0, 557, 31.5], [0, 0, 1]]), 96, 64)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five prepared samples in two shards with an index."""
    folder = tmp_path_factory.mktemp("prepared")
    index = []
    for name, numbers in (("a.tar", (0, 1, 2)), ("b.tar", (3, 4))):
        samples = {f"{number:06d}": make_sample(number, camera=CAMERA) for number in numbers}
        write_shard(folder / name, samples)
        index.append({"file": name, "samples": len(numbers)})
    (folder / "index.json").write_text(json.dumps({"format": 1, "shards": index}))
    return folder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A quick network in place of any model; the models that were loaded in this process."""
    loaded: list[str] = []

    def load(model: str, **arguments: object) -> Predictor:
        loaded.append(model)
        return brightness_model(calibrated=False, trained=False)

    monkeypatch.setattr(Predictor, "load", load)
    return loaded


class Page(HTMLParser):
    """Tags that are open, text, ids, and every address in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_whole_command(
    shards: Path, tmp_path: Path, loads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--radar", "none", "--frames", "1", "--caps", "60", "80"]
    assert main(["evaluate", "any", str(shards), *arguments]) == 0
    assert loads == ["any"]

    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert found["data"]["images"] == 5
    assert found["data"]["scenes"] == 2
    assert list(found["truths"]) == ["single_scan", "exact"]
    for truth in found["truths"].values():
        assert set(truth["by_radar"]) == {"full", "none"}
        assert truth["by_radar"]["full"]["images"] == 5
        assert set(truth["by_radar"]["full"]["depth"]) == {"60", "80"}
        assert set(truth["by_condition"]["weather"]) == {"clear", "rain"}
        assert len(truth["per_image"]) == 5
    assert any("UNTRAINED" in note for note in found["model"]["notes"])

    printed = capsys.readouterr().out
    mae = found["truths"]["exact"]["by_radar"]["full"]["depth"]["60"]["mae"]
    assert re.search(rf"up to 60 m +{mae:.3f} ", printed)
    assert "UNTRAINED" in printed
    assert "none, the model is not calibrated" in printed

    text = (out / "evaluation.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert {"single_scan", "exact", "frames", "definitions"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r'(?:="|url\()#([^")]+)', text)) <= set(page.ids)
    shown = " ".join(page.text)
    for part in (
        "Depth, averages over images", "What radar is worth", "Uncertainty as a ranking",
        "By true depth", "By content", "By weather", "Sparsification", "Best", "Typical", "Worst",
        "UNTRAINED", "not calibrated", f"{mae:.3f}",
    ):  # fmt: skip
        assert part in shown
    assert page.tags.count("svg") == 4
    assert page.tags.count("img") == 3
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#)", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([MODEL, "{folder}/missing"], "missing"),
        ([MODEL, "{shards}", "--caps", "80", "50"], "caps: 80, 50; give increasing"),
        ([MODEL, "{shards}", "--workers", "0"], "workers: 0; give 1 or more"),
        ([MODEL, "{shards}", "--seed", "-1"], "seed: -1; give 0 or more"),
        ([MODEL, "{shards}", "--range-step", "1e-6"], "range_step: 1e-06; makes 8e+07 bins"),
        ([MODEL, "{shards}", "--range-step", "1e-320"], "give at least 0.08"),
        ([MODEL, "{shards}", "--frames", "-1"], "--frames -1: give 0 or more"),
        ([MODEL, "{shards}/a.tar", "{shards}/a.tar", "--radar"], "comes twice"),
        ([MODEL, "{folder}/cut.tar", "--radar"], "cut.tar"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    shards: Path,
    tmp_path: Path,
    loads: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cut.tar").write_bytes((shards / "a.tar").read_bytes()[:5000])
    filled = [part.format(folder=tmp_path, shards=shards) for part in arguments]
    assert main(["evaluate", *filled, "--device", "cpu", "--out", str(tmp_path / "out")]) == 2
    errors = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("model: ")
    ]
    assert len(errors) == 1
    assert errors[0].startswith("lircdepth evaluate: ")
    assert message in errors[0]
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_one_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path / "no-model"), str(shards)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("lircdepth evaluate: ")
    assert "no-model" in error


def test_a_folder_that_cannot_be_is_said_before_anything_is_predicted(
    shards: Path, tmp_path: Path, loads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(["evaluate", "any", str(shards), "--out", str(out)]) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert f"{out}: cannot be made, {tmp_path / 'file'} is a file; choose another" in error
    assert loads == []


def test_where_stderr_is_no_terminal_progress_is_lines(
    shards: Path,
    tmp_path: Path,
    loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_PERIOD", 0)
    arguments = ["evaluate", "any", str(shards), "--radar", "--frames", "0"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().err.splitlines()[1:]
    assert lines == [f"{number} of 5 images" for number in range(1, 6)]


def test_the_help_says_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "1 if damaged shards or samples were skipped" in text
    assert "2 if nothing could be done" in text


def test_the_model_of_this_repository(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--device", "cpu", "--radar", "--frames", "0"]
    assert main(["evaluate", MODEL, str(shards / "b.tar"), *arguments]) == 0
    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert found["data"]["images"] == 2
    assert found["model"]["network"] == "student"
    weights = read_description(Path(MODEL)).weights
    assert found["model"]["weights"] == dataclasses.asdict(weights)


def test_two_processes_load_the_model_each(shards: Path, tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--radar", "--frames", "0", "--workers", "2"]
    out = tmp_path / "out"
    assert main(["evaluate", MODEL, str(shards / "b.tar"), *arguments, "--out", str(out)]) == 0
    assert json.loads((out / "evaluation.json").read_text())["data"]["images"] == 2


def test_what_is_to_be_known_of_depth_stands_on_the_page_too(
    shards: Path, tmp_path: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "focal length reduced to 0.508 of what the model asks for"
    monkeypatch.setattr(Predictor, "camera_notes", lambda predictor, camera: (note,))
    arguments = ["--radar", "--frames", "0", "--out", str(tmp_path / "out")]
    assert main(["evaluate", "any", str(shards), *arguments]) == 0
    assert note in (tmp_path / "out" / "evaluation.html").read_text()


def test_results_stay_where_pictures_fail(
    shards: Path, tmp_path: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InputError("no picture")

    monkeypatch.setattr("lircdepth_core.evaluation.write_evaluation.draw_frames", fail)
    out = tmp_path / "out"
    assert main(["evaluate", "any", str(shards), "--radar", "--out", str(out)]) == 2
    assert json.loads((out / "evaluation.json").read_text())["data"]["images"] == 5


def _fail(error: InputError) -> None:
    pytest.fail(str(error))


def test_only_the_shards_of_wanted_samples_are_opened(shards: Path, tmp_path: Path) -> None:
    for name in ("index.json", "b.tar"):
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    source = PreparedSamples((str(tmp_path),))
    # a.tar is not there.
    ((number, sample),) = source(lambda number: number == 3, _fail)
    assert (number, sample.key) == (3, make_sample(3).key)
    assert source.count() == 5


def test_what_is_damaged_is_skipped_and_named(
    shards: Path, tmp_path: Path, loads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    index = json.loads((shards / "index.json").read_text())
    for part in index["shards"]:
        (tmp_path / part["file"]).write_bytes((shards / part["file"]).read_bytes())
    # a.tar ends too soon, and the first image of b.tar is none.
    (tmp_path / "a.tar").write_bytes((shards / "a.tar").read_bytes()[:5000])
    whole = (shards / "b.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(whole.replace(b"\xff\xd8\xff\xe0", b"none", 1))
    (tmp_path / "index.json").write_text(json.dumps(index))

    out = tmp_path / "out"
    assert main(["evaluate", "any", str(tmp_path), "--radar", "--out", str(out)]) == 1
    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert [(row["key"], row["number"]) for row in found["truths"]["exact"]["per_image"]] == [
        (make_sample(4).key, 4)
    ]
    skipped = found["data"]["skipped"]
    assert len(skipped) == 2
    assert "a.tar: cannot be read" in skipped[0]
    assert "b.tar: 000003: not a prepared sample" in skipped[1]
    printed = capsys.readouterr().out
    assert all(f"skipped: {reason}" in printed for reason in skipped)
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert page.count("Skipped: ") == 2
    # The frame that is shown is that image, not the second of those that can be read.
    assert page.count(f"{make_sample(4).key}: MAE") == 1


def test_frames_are_the_best_the_median_and_the_worst() -> None:
    rows = [{"key": f"{mae}", "number": mae, "mae": mae} for mae in (5, 1, 8, 3, 9, 2, 7, 4, 6)]
    chosen = [(frame.kind, frame.number) for frame in choose_frames(rows, 2)]
    assert chosen == [
        ("best", 1), ("best", 2), ("typical", 4), ("typical", 5), ("worst", 8), ("worst", 9),
    ]  # fmt: skip
    # No image stands twice.
    assert len(choose_frames(rows[:2], 3)) == 2
    assert [frame.number for frame in choose_frames(rows[:1], 3)] == [5]


def test_a_missing_package_is_one_line(
    shards: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "lircdepth_core.evaluation.write_evaluation", raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert main(["evaluate", MODEL, str(shards)]) == 2
    assert "tqdm is not installed; run in the checkout" in capsys.readouterr().err


def test_a_sparse_map_is_drawn_thicker_with_the_largest_on_top() -> None:
    values = np.full((20, 40), np.nan, np.float32)
    values[0, 0], values[10, 20], values[10, 23] = -10, 40, 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thick = thicken(values)
    assert thick[:5, :5].tolist() == np.full((5, 5), -10).tolist()
    assert np.isnan(thick[5, :10]).all()
    assert thick[10, 16:28].tolist() == [40] * 3 + [60] * 9
    assert np.isnan(thick[10, [15, 28]]).all()
    assert np.count_nonzero(np.isfinite(thick)) == 25 + 9 * 12
