"""Published checkpoints: read without running anything, taken only where they fit exactly."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference.published import load_published
from lircdepth_core.network import Student, Teacher

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def parameters():
    """Parameters by kind, of the published names and shapes."""
    generator = torch.Generator().manual_seed(0)
    return {
        kind: {
            key: torch.rand(shape, generator=generator) if shape else torch.tensor(5)
            for key, shape in json.loads((DATA / f"{kind}_keys.json").read_text()).items()
        }
        for kind in ("student", "teacher")
    }


def as_published(parameters):
    """A checkpoint with what the published ones hold: a prefix, a NumPy array, an optimiser."""
    return {
        "global_step": 100,
        "model": OrderedDict((f"module.{key}", value) for key, value in parameters.items()),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 5e-5}]},
        "best_eval_measures_higher_better": torch.zeros(3),
        "best_eval_steps": np.zeros(9, dtype=np.int32),
        "best": np.float64(1.5),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(("kind", "network"), [("student", Student), ("teacher", Teacher)])
def test_a_published_file_loads_completely(kind, network, zipped, parameters, tmp_path):
    path = tmp_path / "model.pt"
    checkpoint = as_published(parameters[kind])
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    loaded = load_published(path, kind)
    assert isinstance(loaded, network)
    assert not loaded.training
    state = loaded.state_dict()
    assert all(torch.equal(state[key], value) for key, value in parameters[kind].items())


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_the_numpy_array_may_be_of_numpy_1_or_2(package, parameters, tmp_path, monkeypatch):
    class Renamed(pickle._Pickler):
        def save_global(self, obj, name=None):
            module = getattr(obj, "__module__", "")
            if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
                self.write(pickle.GLOBAL + f"{package}.multiarray\n{obj.__name__}\n".encode())
                self.memoize(obj)
            else:
                super().save_global(obj, name)

    module = type("renaming_pickle", (), {"Pickler": Renamed, "dump": pickle.dump})
    path = tmp_path / "model.pt"
    torch.save(as_published(parameters["student"]), path, pickle_module=module)
    assert f"{package}.multiarray\n_reconstruct".encode() in path.read_bytes()
    load_published(path, "student")


def test_the_uncertainty_head_stays_untrained_and_says_so(parameters):
    assert load_published(parameters["student"], "student").uncertainty_head.untrained


def test_a_trained_uncertainty_head_is_kept_whole(parameters):
    trained = Student()
    torch.nn.init.ones_(trained.uncertainty_head.answer.weight)
    state = trained.state_dict()
    assert not load_published(state, "student").uncertainty_head.untrained
    del state["uncertainty_head.near.bias"]
    with pytest.raises(InputError, match=r"missing: uncertainty_head\.near\.bias$"):
        load_published(state, "student")


def test_every_key_that_does_not_fit_is_named_in_one_line(parameters, tmp_path):
    changed = dict(parameters["student"])
    lost = ["encoder.base_model.0.0.weight", "decoder.upconv4.7.expansion_layer.1.running_var"]
    for key in lost:
        del changed[key]
    changed |= {"added.one": torch.zeros(1), "added.two": torch.zeros(1)}
    changed["decoder.get_depth.0.weight"] = torch.zeros(2, 32, 3, 3)
    changed["decoder.scale1.0.weight"] = "text"
    torch.save(as_published(changed), tmp_path / "model.pt")
    with pytest.raises(InputError) as error:
        load_published(tmp_path / "model.pt", "student")
    assert str(error.value) == (
        f"{tmp_path / 'model.pt'}: give the parameters of this network; "
        f"missing: {', '.join(lost)}; unexpected: added.one, added.two; wrong shape: "
        "decoder.scale1.0.weight (str instead of 1x32x1x1), "
        "decoder.get_depth.0.weight (2x32x3x3 instead of 1x32x3x3)"
    )


def test_a_teacher_is_no_student(parameters):
    with pytest.raises(InputError) as error:
        load_published(parameters["teacher"], "student")
    named = str(error.value)
    assert all(key in named for key in parameters["teacher"].keys() - parameters["student"].keys())
    assert all(key in named for key in parameters["student"].keys() - parameters["teacher"].keys())


class Payload:
    """Creates a file when unpickled by the book."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(zipped, tmp_path):
    target = tmp_path / "touched"
    path = tmp_path / "model.pt"
    torch.save({"model": Payload(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="refused, it asks for") as error:
        load_published(path, "student")
    assert "\n" not in str(error.value)
    assert not target.exists()

    torch.load(path, weights_only=False)
    assert target.exists(), "the payload must work, or this test shows nothing"


def test_numpy_values_are_not_built(parameters, tmp_path):
    """NumPy takes raw bytes for object pointers where a pickle says so; here it is not asked."""
    changed = dict(parameters["student"])
    changed["decoder.scale1.0.weight"] = np.zeros((1, 32, 1, 1), np.float32)
    torch.save(as_published(changed), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"decoder\.scale1\.0\.weight \(NumPyValue instead of"):
        load_published(tmp_path / "model.pt", "student")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused(kept, zipped, tmp_path):
    path = tmp_path / "model.pt"
    torch.save(as_published({"a": torch.rand(100)}), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"model\.pt: no checkpoint of torch, or a damaged one"):
        load_published(path, "student")


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"PK\x03\x04", bytes(range(256))])
def test_another_file_is_refused(data, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.pt: no checkpoint of torch, or a damaged one"):
        load_published(path, "student")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pt: No such file"):
        load_published(tmp_path / "absent.pt", "student")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        load_published(tmp_path, "student")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor; give a file with a dict"),
        ({"model": [1, 2]}, "`model` is a list; give a dict"),
    ],
)
def test_a_file_of_something_else_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputError, match=message):
        load_published(tmp_path / "model.pt", "student")


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="kind: 'tutor', give one of student, teacher"):
        load_published({}, "tutor")
