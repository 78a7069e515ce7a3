from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from lircdepth_core import cli
from lircdepth_core.errors import InputError
from lircdepth_core.inference import Predictor, find_model
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
    "error", [InputError("map.png: broken\nmend it"), FileNotFoundError(2, "x")]
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
    line = "no_such_package is not installed; run: pip install 'lircdepth[toys]'\n"
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
        f"lircdepth {verb}: {package} is not installed; run: pip install 'lircdepth[{extra}]'"
    )


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
    capsys.readouterr()

    assert cli.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


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
