from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from fnmatch import fnmatchcase
from types import SimpleNamespace

import pytest
import torch

from lircdepth_core import cli
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.extras import not_installed
from lircdepth_core.inference import Predictor, find_model
from lircdepth_core.inference.model_description import Crop
from lircdepth_core.inference.model_files import read_description
from lircdepth_core.network import Student


@pytest.fixture
def run_verb(monkeypatch):
    """Run `lircdepth test`, a verb that does what the given function does."""

    def run(action) -> int:
        module = SimpleNamespace(add_arguments=lambda parser: None, run=lambda args: action())
        monkeypatch.setitem(sys.modules, "verb_for_test", module)
        monkeypatch.setitem(cli.VERBS, "test", ("verb_for_test", "do it", "toys"))
        return cli.main(["test"])

    return run


def raising(error: BaseException):
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    "error",
    [
        InputError("map.png: broken\nmend it"),
        NonFiniteError("the network: broken"),
        FileNotFoundError(2, "x"),
    ],
)
def test_an_error_is_one_line_and_status_2(error, run_verb, capsys):
    assert run_verb(raising(error)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lircdepth test: ")
    assert captured.err.count("\n") == 1


def test_ctrl_c_is_status_130(run_verb):
    assert run_verb(raising(KeyboardInterrupt())) == 130


def test_a_fault_of_the_program_is_not_hidden(run_verb):
    with pytest.raises(ZeroDivisionError):
        run_verb(lambda: 1 // 0)


def test_a_missing_package_names_the_verbs_extra(run_verb, capsys):
    def action() -> int:
        import no_such_package.part  # noqa: F401

    assert run_verb(action) == 2
    line = not_installed("no_such_package", "toys") + "\n"
    assert capsys.readouterr().err == f"lircdepth test: {line}"


@pytest.mark.parametrize(
    ("verb", "package", "extra"),
    [
        ("prepare", "scipy", "train"),
        ("prepare", "nuscenes", "train"),
        ("bag", "rosbags", "bag"),
    ],
)
def test_without_its_extra_a_verb_says_what_to_install(verb, package, extra, tmp_path):
    """In a process of its own, in which the package cannot be found, nor what imports it."""
    arguments = {
        "prepare": [str(tmp_path), str(tmp_path / "out")],
        "bag": [str(tmp_path), str(tmp_path / "out"), "--scene", "x"],
    }[verb]
    program = f"""
import sys
sys.modules[{package!r}] = None
from lircdepth_core.cli import main
sys.exit(main({[verb, *arguments]!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"lircdepth {verb}: {package} is not installed; run in the checkout of lircdepth: "
        f"pip install 'numpy<2' '.[{extra}]'"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "lircdepth: the following arguments are required: VERB; see lircdepth --help"),
        (["tset"], "lircdepth: argument VERB: invalid choice: 'tset' (*); see lircdepth --help"),
        (
            ["bag", "data"],
            "lircdepth bag: the following arguments are required: OUT, --scene; "
            "see lircdepth bag --help",
        ),
        (
            ["bag", "data", "out", "--scene", "x", "--fast"],
            "lircdepth bag: unrecognized arguments: --fast; see lircdepth bag --help",
        ),
        (
            ["prepare", "data", "out", "--workers", "two\nlines"],
            "lircdepth prepare: argument --workers: invalid int value: *; "
            "see lircdepth prepare --help",
        ),
        (["--fast"], "lircdepth: *; see lircdepth --help"),
        (
            ["predict", "caf\udce9", "--out", "out"],
            r"lircdepth: argument 'caf\udce9' is not UTF-8; *; see lircdepth --help",
        ),
        (["--fast", "bag"], "lircdepth*; see lircdepth* --help"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(arguments, line, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert fnmatchcase(error.rstrip("\n"), line)


def test_the_version_is_the_packages(capsys, monkeypatch):
    def printed() -> str:
        with pytest.raises(SystemExit) as exit_:
            cli.main(["--version"])
        assert exit_.value.code == 0
        return capsys.readouterr().out

    monkeypatch.setattr(importlib.metadata, "version", {"lircdepth": "1.2.3"}.__getitem__)
    assert printed() == "lircdepth 1.2.3\n"

    def not_installed(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    assert "not installed" in printed()


def test_a_module_of_the_program_that_is_missing_is_not_hidden(run_verb):
    def action() -> int:
        import lircdepth_core.no_such_module  # noqa: F401

    with pytest.raises(ImportError):
        run_verb(action)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("bag", ["DATAROOT", "OUT", "--scene", "--storage"]),
        (
            "predict",
            ["DATAROOT", "--sample", "--out", "--model", "--camera", "--radar", "--device"],
        ),
        ("import-weights", ["CHECKPOINT", "OUT", "--kind", "--focal-length", "--half"]),
        ("bench", ["MODEL", "--backends", "--sizes", "--runs"]),
        ("export", ["MODEL", "OUT", "--size", "metres along the optical axis"]),
    ],
)
def test_each_verb_explains_itself(verb, words, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main([verb, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in words)


def test_a_verb_does_not_need_what_another_needs(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lircdepth_core.dataset.bag", None)
    for arguments in (["--help"], ["import-weights", "--help"]):
        with pytest.raises(SystemExit) as exit_:
            cli.main(arguments)
        assert exit_.value.code == 0
    assert "bag" in capsys.readouterr().out


def test_a_published_checkpoint_becomes_a_model_that_predicts(tmp_path, capsys, make_camera):
    state = {
        f"module.{key}": value
        for key, value in Student().state_dict().items()
        if not key.startswith("uncertainty_head.")
    }
    torch.save({"model": state, "global_step": 3}, tmp_path / "published")
    out = tmp_path / "imported"
    arguments = ["import-weights", str(tmp_path / "published"), str(out), "--kind", "student"]
    assert cli.main([*arguments, "--crop", "4", "896", "--half"]) == 0
    predictor = Predictor.load(find_model(out), "cpu", max_network_pixels=64 * 64)
    model = predictor.model
    assert (model.trained, model.uncertainty_trained, model.calibration) == (True, False, None)
    assert model.input.focal_length == 1266.417
    assert (model.input.crop.top, model.input.crop.height) == (4, 896)
    assert "**not trained**" in (out / "README.md").read_text()
    other = [*arguments[:2], str(tmp_path / "other"), *arguments[3:], "--crop", "4", "896"]
    assert cli.main([*other, "--principal-point-row", "491.5"]) == 0
    assert read_description(tmp_path / "other").input.crop == Crop(None, 896, 487.5)
    capsys.readouterr()

    assert cli.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--focal-length", "-5"], "--focal-length -5: give 1 to 100000 pixels"),
        (["--focal-length", "nan"], "--focal-length nan: give 1 to"),
        (["--crop", "-1", "10"], "--crop -1 10: give a TOP of 0 to 100000 and a HEIGHT of 1 to"),
        (["--crop", "4", "0"], "--crop 4 0: give a TOP"),
        (["--principal-point-row", "491.5"], "--principal-point-row: says where a crop lies; give"),
        (
            ["--crop", "4", "896", "--principal-point-row", "901"],
            "--principal-point-row 901: lies outside of --crop 4 896; give 4 to 900",
        ),
        (["--crop", "4", "896", "--principal-point-row", "nan"], "row nan: lies outside of"),
    ],
)
def test_import_weights_names_the_option_that_is_wrong(options, words, tmp_path, capsys):
    arguments = ["import-weights", str(tmp_path / "published"), str(tmp_path / "out")]
    assert cli.main([*arguments, "--kind", "student", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 65, "give a printable one of 1 to 64 characters"),
        ("line\nbreak", "give a printable one"),
        ("file/below", "file is a file; choose another folder"),
        ("file", "file: exists already; give a new folder"),
    ],
)
def test_import_weights_says_that_out_cannot_be_before_it_reads(name, words, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    arguments = ["import-weights", str(tmp_path / "no checkpoint"), str(tmp_path / name)]
    assert cli.main([*arguments, "--kind", "student"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_checkpoint_that_does_not_fit_names_its_keys(tmp_path, capsys):
    state = dict(Student().state_dict())
    state.pop("decoder.get_depth.0.weight")
    torch.save({"model": state}, tmp_path / "published")
    out = tmp_path / "imported"
    assert (
        cli.main(["import-weights", str(tmp_path / "published"), str(out)] + ["--kind", "student"])
        == 2
    )
    error = capsys.readouterr().err
    assert "missing: decoder.get_depth.0.weight" in error
    assert error.count("\n") == 1
    assert not out.exists()
