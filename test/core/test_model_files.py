from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lircdepth_core.errors import InputError
from lircdepth_core.inference import (
    Calibration,
    ModelDescription,
    Predictor,
    find_model,
    write_description,
    write_model,
)
from lircdepth_core.inference.calibration import BlindCalibration
from lircdepth_core.inference.model_description import (
    Crop,
    NetworkInput,
    StoredWeights,
    format_description,
    parse_description,
)
from lircdepth_core.inference.model_files import (
    add_int8,
    change_description,
    load_network,
    read_description,
)
from lircdepth_core.network import Student

CALIBRATION = Calibration(
    shares=[0.683, 0.95],
    depth=[0, 80],
    uncertainty=[0, 1],
    half_width=[[[0.5, 1], [1, 2]], [[1, 2], [3, 6]]],
)


@pytest.fixture(scope="module")
def student() -> Student:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Student().eval()


@pytest.fixture(scope="module")
def stored(tmp_path_factory, student, make_model):
    """A model folder with stored weights, not to be changed."""
    path = tmp_path_factory.mktemp("models") / "model"
    write_model(path, student, make_model(), "# card\n", half=True)
    return path


@pytest.fixture
def folder(tmp_path, stored):
    """A model folder with stored weights."""
    return shutil.copytree(stored, tmp_path / "model")


def change(folder, **fields):
    """Replace fields of model.yaml; None removes one, `a__b` stands for a.b."""
    document = yaml.safe_load((folder / "model.yaml").read_text())
    for name, value in fields.items():
        *parents, last = name.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    (folder / "model.yaml").write_text(yaml.safe_dump(document))


def test_a_written_model_is_read_back(tmp_path, student, make_model):
    model = make_model(
        input=NetworkInput(557.0, "cubic", Crop(4, 896)), calibration=CALIBRATION, name="mine"
    )
    written = write_model(tmp_path / "model", student, model, "# card\n")
    read = read_description(tmp_path / "model")
    assert dataclasses.replace(read, calibration=None) == dataclasses.replace(
        written, calibration=None
    )
    np.testing.assert_array_equal(read.calibration.half_width, CALIBRATION.half_width)
    state = load_network(tmp_path / "model", read).state_dict()
    for key, value in student.state_dict().items():
        assert torch.equal(state[key], value), key
    assert (tmp_path / "model" / "README.md").read_text() == "# card\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_half_precision_takes_two_bytes_a_number_and_loads_as_float32(stored, student):
    numbers = sum(value.numel() for value in student.state_dict().values())
    assert (stored / "weights.safetensors").stat().st_size < 2.05 * numbers
    state = load_network(stored, read_description(stored)).state_dict()
    for key, value in student.state_dict().items():
        assert state[key].dtype == value.dtype
        assert torch.allclose(state[key], value, rtol=1e-3, atol=1e-6), key


def test_an_existing_folder_is_not_overwritten(folder, student, make_model):
    with pytest.raises(InputError, match="exists already"):
        write_model(folder, student, make_model(), "")


def test_a_calibration_for_images_that_show_nothing_is_read_back(folder):
    blind = BlindCalibration(0.4, CALIBRATION)
    model = dataclasses.replace(
        read_description(folder), calibration=CALIBRATION, blind_calibration=blind
    )
    write_description(folder, model)
    read = read_description(folder).blind_calibration
    assert read.structure_below == 0.4
    np.testing.assert_array_equal(read.calibration.half_width, CALIBRATION.half_width)
    change(folder, blind_calibration__structure_below=2)
    with pytest.raises(InputError, match=r"blind_calibration\.structure_below: give a number"):
        read_description(folder)
    change(folder, blind_calibration__structure_below=0.4, blind_calibration__shares=[0.1, 0.2])
    with pytest.raises(InputError, match=r"blind_calibration\.shares: 0\.683.* is missing"):
        read_description(folder)
    change(folder, blind_calibration__shares=None)
    with pytest.raises(InputError, match=r"blind_calibration\.shares: this field is missing"):
        read_description(folder)
    with pytest.raises(InputError, match="blind_calibration: there is no calibration"):
        write_description(folder, dataclasses.replace(model, calibration=None))


def test_a_calibration_can_be_added_later(folder):
    model = dataclasses.replace(read_description(folder), calibration=CALIBRATION)
    write_description(folder, model)
    assert read_description(folder).calibration is not None
    assert Predictor.load(folder, "cpu").model.weights == model.weights


def test_what_two_commands_find_out_of_a_model_is_kept(folder, tmp_path):
    before = read_description(folder)  # as both read it
    (tmp_path / "int8.onnx").write_bytes(b"a network")
    change_description(folder, before, calibration=CALIBRATION)
    add_int8(folder, before, tmp_path / "int8.onnx")
    now = read_description(folder)
    assert now.calibration is not None
    assert now.int8 is not None
    other = dataclasses.replace(before, weights=StoredWeights("weights.safetensors", "0" * 64))
    with pytest.raises(InputError, match="has got other weights meanwhile; run the command again"):
        change_description(folder, other, calibration=None)
    assert read_description(folder).calibration is not None


def test_a_changed_byte_of_the_weights_is_noticed(folder):
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"weights\.safetensors: SHA-256 is .*weights\.sha256"):
        Predictor.load(folder, "cpu")


def test_missing_weights_are_named(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights\.safetensors: No such file"):
        Predictor.load(folder, "cpu")


@pytest.mark.parametrize("kind", ["pipe", "zeros"])
def test_weights_without_end_are_not_read(folder, kind):
    path = folder / "weights.safetensors"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"weights\.safetensors: a pipe or a device"):
        Predictor.load(folder, "cpu")


def rehash(folder, data: bytes) -> None:
    (folder / "weights.safetensors").write_bytes(data)
    change(folder, weights__sha256=hashlib.sha256(data).hexdigest())


def test_weights_that_do_not_fit_name_their_parameters(folder):
    state = safetensors.torch.load_file(folder / "weights.safetensors")
    state.pop("decoder.get_depth.0.weight")
    state["decoder.extra"] = torch.zeros(1)
    state["decoder.scale1.0.weight"] = torch.zeros(2, 2)
    rehash(folder, safetensors.torch.save(state))
    with pytest.raises(InputError) as caught:
        Predictor.load(folder, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("weights.safetensors", "missing: decoder.get_depth.0.weight"):
        assert part in message
    assert "unexpected: decoder.extra" in message
    assert "decoder.scale1.0.weight (2x2 instead of 1x32x1x1)" in message


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.tensor(1.0 + 2.0j)])
def test_weights_that_are_no_finite_real_numbers_are_refused(folder, value):
    state = safetensors.torch.load_file(folder / "weights.safetensors")
    state["decoder.scale1.0.weight"] = value.expand(1, 32, 1, 1).contiguous()
    rehash(folder, safetensors.torch.save(state))
    with pytest.raises(InputError, match=r"decoder\.scale1\.0\.weight is not finite, or none of"):
        Predictor.load(folder, "cpu")


def test_what_half_precision_cannot_hold_is_stored_as_it_is(tmp_path, make_model):
    network = torch.nn.Linear(1, 1)
    network.weight.data[:] = 1e6
    network.bias.data[:] = 0.5
    write_model(tmp_path / "model", network, make_model(), "", half=True)
    state = safetensors.torch.load_file(tmp_path / "model" / "weights.safetensors")
    assert state["weight"] == torch.tensor(1e6)
    assert (state["bias"].dtype, float(state["bias"])) == (torch.float16, 0.5)


@pytest.mark.parametrize("half", [True, False])
def test_parameters_that_are_not_finite_are_not_stored(half, tmp_path, make_model):
    network = torch.nn.Linear(1, 1)
    network.weight.data[:] = torch.inf
    with pytest.raises(InputError, match=r"weight: not finite as torch\.float32; do not use"):
        write_model(tmp_path / "model", network, make_model(), "", half=half)
    assert not any(tmp_path.iterdir())


def test_a_pickle_is_not_opened(folder):
    torch.save({"decoder": torch.zeros(1)}, folder / "other")
    rehash(folder, (folder / "other").read_bytes())
    with pytest.raises(InputError, match="not a safetensors file"):
        Predictor.load(folder, "cpu")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"format": 2}, "format: version 2, this program reads 1"),
        ({"name": None}, "name: this field is missing"),
        ({"colour": "red"}, "colour: this field is unknown"),
        ({"input__size": 5}, "input.size: this field is unknown"),
        ({"network": "teacher"}, "uncertainty_trained: a teacher has no"),
        ({"network": "resnet"}, "network: give one of student, small_student, teacher"),
        ({"trained": "yes"}, "trained: give true or false"),
        ({"max_depth": 80}, "max_depth: give a number"),
        ({"input": 5}, "input: give a mapping"),
        ({"input__focal_length": 0}, "input.focal_length: give a number from 1"),
        ({"input__focal_length": float("nan")}, "input.focal_length: give a number from 1"),
        ({"input__focal_length": "wide"}, "input.focal_length: give a number"),
        ({"input__interpolation": "nearest"}, "input.interpolation: give one of"),
        ({"input__crop": {"top": -1, "height": 5}}, "input.crop.top: give a whole number"),
        (
            {"input__crop": {"top": 1, "height": 5, "principal_row": 2}},
            "input.crop: give top or principal_row, not both",
        ),
        ({"input__crop": {"height": 5, "principal_row": 6}}, "input.crop.principal_row: give"),
        ({"input__radar_channels": ["depth"]}, "input.radar_channels: give"),
        ({"weights__file": "../other"}, "weights.file: give the name of a file beside"),
        ({"weights__sha256": "0" * 63 + "G"}, "weights.sha256: give 64"),
        ({"weights": {"seed": 3}}, "weights.seed: a trained network"),
        ({"int8": 8}, "int8: give a mapping"),
        ({"int8": {"file": "/etc/x", "sha256": "0" * 64}}, "int8.file: give the name of a file"),
        ({"int8": {"file": "x", "sha256": "0" * 64}}, "int8.weights: this field is missing"),
        ({"calibration": {"shares": []}}, "calibration.shares: give numbers"),
        ({"calibration": {"shares": [[1], [1, 2]]}}, "calibration.shares: give numbers"),
    ],
)
def test_a_wrong_field_of_model_yaml_is_named(folder, fields, complaint):
    change(folder, **fields)
    with pytest.raises(InputError) as caught:
        read_description(folder)
    assert str(caught.value).startswith(f"{folder / 'model.yaml'}: {complaint}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "- 1",
        "a: &b [1]\nc: *b",
        "!!python/object/apply:os.system ['true']",
        "\x00",
        "a: " * 5,
    ]
    + ["[" * 5000, "!!timestamp x", "!!bool maybe", "!!float ''", "format: 2001-99-99"],
)
def test_what_is_no_model_yaml_is_refused_in_one_line(folder, text):
    (folder / "model.yaml").write_text(text)
    with pytest.raises(InputError, match=r"model\.yaml: ") as caught:
        read_description(folder)
    assert "\n" not in str(caught.value)


def test_a_huge_model_yaml_is_not_read(folder):
    with (folder / "model.yaml").open("ab") as file:
        file.truncate(2_000_000)
    with pytest.raises(InputError, match="2000000 bytes"):
        read_description(folder)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
nested = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def assert_parsed_or_refused(text: str) -> None:
    complaint = ""
    try:
        assert isinstance(parse_description(text), ModelDescription)
    except InputError as error:
        complaint = str(error)
    assert "\n" not in complaint


@given(st.text(max_size=200))
def test_any_text_is_a_description_or_an_input_error(text):
    assert_parsed_or_refused(text)


@given(data=st.data(), value=nested)
def test_any_value_in_any_field_is_a_description_or_an_input_error(data, value):
    document = yaml.safe_load(format_description(CALIBRATED))
    place = document
    while isinstance(place, dict):
        parent, name = place, data.draw(st.sampled_from(sorted(place)))
        place = place[name]
        if data.draw(st.booleans()):
            break
    parent[name] = value
    assert_parsed_or_refused(yaml.safe_dump(document))


CALIBRATED = parse_description(
    "{format: 1, name: x, network: student, trained: true, uncertainty_trained: true,"
    " max_depth: 100, weights: {file: w, sha256: '" + "0" * 64 + "'},"
    " input: {focal_length: 557, interpolation: area, crop: {top: 4, height: 896},"
    " radar_channels: [depth, rcs, vx, vy]},"
    " calibration: {shares: [0.683], depth: [0, 80], uncertainty: [0, 1],"
    " half_width: [[[1, 2], [3, 4]]]}}"
)


def test_models_are_found_by_path_and_by_name(folder, monkeypatch, tmp_path):
    assert find_model(folder) == folder
    monkeypatch.chdir(tmp_path)
    assert find_model("model").resolve() == folder
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    installed = tmp_path / "prefix" / "share" / "lircdepth" / "models" / "mine"
    installed.mkdir(parents=True)
    (installed / "model.yaml").write_text("")
    assert find_model("mine") == installed
    assert find_model("models/mine") == installed


def test_the_ros_package_s_share_comes_before_the_installed_data(tmp_path, monkeypatch):
    for root in ("ros/models", "prefix/share/lircdepth/models"):
        (tmp_path / root / "mine").mkdir(parents=True)
        (tmp_path / root / "mine" / "model.yaml").write_text("")
    shares = {"lircdepth": str(tmp_path / "ros")}
    packages = SimpleNamespace(get_package_share_directory=shares.__getitem__)
    monkeypatch.setitem(sys.modules, "ament_index_python", SimpleNamespace(packages=packages))
    monkeypatch.setitem(sys.modules, "ament_index_python.packages", packages)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    assert find_model("mine") == tmp_path / "ros" / "models" / "mine"
    shares.clear()  # ROS is there, this package is not built in it
    assert find_model("mine") == tmp_path / "prefix/share/lircdepth/models/mine"


def test_a_home_of_nobody_is_said():
    with pytest.raises(InputError, match=r"model ~nobody-of-this-name/model: .*; give a path"):
        find_model("~nobody-of-this-name/model")


def test_a_name_longer_than_any_folder_s_is_nowhere():
    with pytest.raises(InputError, match="give the path of a model folder"):
        find_model(300 * "m")


def test_a_model_that_is_nowhere_lists_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(InputError) as caught:
        find_model("no-such-model")
    assert str(tmp_path / "share" / "lircdepth" / "models" / "no-such-model") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "megabytes"), [("lircdepth", 30), ("lircdepth-s", 7), ("lircdepth-s-352x192", 7)]
)
def test_a_shipped_model_is_trained_and_calibrated_and_small(name, megabytes, make_camera):
    predictor = Predictor.load(f"models/{name}", "cpu", max_network_pixels=64 * 64)
    assert "trained, calibrated" in predictor.description
    weights = find_model(f"models/{name}") / predictor.model.weights.file
    assert weights.stat().st_size < 1e6 * megabytes
    image = np.random.default_rng(2).integers(0, 255, (90, 160, 3), np.uint8)
    prediction = predictor(image, make_camera(160, 90, 126.6), None)
    seen = np.isfinite(prediction.depth)
    assert seen[3:-3].all()  # it sees all but the first and last rows
    # Depth is scaled back from a smaller focal length.
    assert (prediction.depth[seen] > 0).all()
    assert (np.isfinite(prediction.sigma) == seen).all()
    assert (prediction.sigma[seen] > 0).all()
    assert (prediction.interval(0.95)[seen] > prediction.sigma[seen]).all()
    again = Predictor.load(name, "cpu", max_network_pixels=64 * 64)
    np.testing.assert_array_equal(
        again(image, make_camera(160, 90, 126.6), None).depth, prediction.depth
    )
