"""`lircdepth train` with the real networks, and where their parameters come from."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from described_model import describe_model
from evaluation_rig import CAMERA, HEIGHT, brightness_model
from training_rig import write_shards

from lircdepth_core import cli
from lircdepth_core.errors import InputError
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.model_description import (
    Crop,
    SeededWeights,
    StoredWeights,
    format_description,
)
from lircdepth_core.inference.model_files import (
    load_network,
    read_description,
    write_description,
    write_model,
)
from lircdepth_core.network import SmallStudent, Student, Teacher
from lircdepth_core.radar import RadarReturns
from lircdepth_core.training import loop, validation
from lircdepth_core.training.checkpoints import read_checkpoint
from lircdepth_core.training.command import StudentTraining
from lircdepth_core.training.config import ImageNet, Start
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.networks import load_teacher, starting_network
from lircdepth_core.training.validation import NotFiniteDepthError

DISTILLATION = ("image_feature", "radar_feature", "structure", "inter_depth")

SMALL = {
    "length": {"steps": 2},
    "optimiser": {"learning_rate": 1e-3, "eps": 1e-8, "accumulate": 1, "precision": "bf16"},
    "record": {"log_every": 1, "validate_every": 2, "checkpoint_every": 2, "keep": 1},
}


@pytest.fixture
def config(tmp_path) -> Path:
    """A configuration of 2 steps of an image of 64x32."""
    write_shards(tmp_path / "train", [3])
    write_shards(tmp_path / "validation", [1], first=100)
    data = {
        "train": [str(tmp_path / "train")],
        "validation": [str(tmp_path / "validation")],
        "truth": "exact",
        "height": 32,
        "width": 64,
        "focal_length": 200,
        "batch_size": 1,
        "workers": 0,
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"data": data, **SMALL}))
    return path


@pytest.fixture
def teacher(tmp_path, make_model) -> Path:
    """What says it is a teacher at 200 px; its weights are missing."""
    folder = tmp_path / "teacher"
    folder.mkdir()
    weights = StoredWeights("weights.safetensors", "0" * 64)
    description = make_model(network="teacher", uncertainty_trained=False, weights=weights)
    (folder / "model.yaml").write_text(format_description(description))
    return folder


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory) -> Path:
    """A file as torchvision's of MobileNetV2, its values not a new network's."""
    state = {f"features.{k}": v + 1 for k, v in Student().encoder.base_model.state_dict().items()}
    path = tmp_path_factory.mktemp("imagenet") / "mobilenet_v2.pth"
    torch.save(state, path)
    return path


def the_same_tensors(one: Path, other: Path) -> dict[str, torch.Tensor]:
    """What the checkpoints of step 2 of two runs hold, bit by bit alike."""
    tensors, others = (
        read_checkpoint(out / "checkpoints" / "step-000000002.safetensors").tensors
        for out in (one, other)
    )
    assert tensors.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in tensors.items())
    return dict(others)


def test_a_student_goes_on_bit_by_bit_and_its_best_becomes_a_model(
    config, tmp_path, capsys, make_camera
):
    alone = [f"loss.{name}=0" for name in DISTILLATION]

    def run(out: str, *more: str) -> int:
        arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / out)]
        return cli.main([*arguments, "--set", "teacher=null", *alone, *more])

    assert run("parts", "--max-steps", "1") == 0
    printed = capsys.readouterr().out
    assert "stopped after step 1 of 2 (max steps); the same command goes on" in printed
    assert not (tmp_path / "parts" / "model").exists()
    assert run("parts") == 0
    assert "model: the best, of step 2, validation MAE" in capsys.readouterr().out
    assert run("whole") == 0
    other = the_same_tensors(tmp_path / "parts", tmp_path / "whole")

    folder = tmp_path / "whole" / "model"
    model = read_description(folder)
    assert (model.name, model.network, model.input.focal_length) == ("whole", "student", 200.0)
    assert (model.trained, model.uncertainty_trained) == (True, True)
    assert model.input.crop == Crop(None, HEIGHT, CAMERA.K[1, 2])
    assert f"{HEIGHT} rows as in training |" in (folder / "README.md").read_text()
    stored = load_network(folder, model).state_dict()
    assert all(torch.equal(value, other[f"network.{name}"]) for name, value in stored.items())
    image = np.zeros((32, 64, 3), np.uint8)
    predictor = Predictor.load(folder, "cpu")
    depth = predictor(image, make_camera(64, 32, 200.0), RadarReturns.empty()).depth
    assert np.isfinite(depth).all()
    assert "MAE" in (folder / "README.md").read_text()

    # The same command again leaves what calibrate added, as long as the parameters are the same.
    calibrated = dataclasses.replace(model, calibration=brightness_model().model.calibration)
    write_description(folder, calibrated)
    assert run("whole") == 0
    assert read_description(folder).calibration is not None
    assert "| σ | calibrated |" in (folder / "README.md").read_text()
    shutil.rmtree(folder)
    write_model(folder, Student(), calibrated, "of others")
    capsys.readouterr()
    assert run("whole") == 0
    assert f"{folder}: another model than before; its calibration went" in capsys.readouterr().out
    assert read_description(folder) == model


def test_what_was_chosen_becomes_a_model_where_the_run_breaks_off(
    config, tmp_path, capsys, monkeypatch
):
    """Days of training are not to be lost by a loss that is not finite in the end."""
    validations = []

    def fails_in_the_end(*given):
        validations.append(given)
        if len(validations) == 2:
            raise NotFiniteDepthError("the depth of validation sample x is not finite")
        return validation.validate(*given)

    monkeypatch.setattr(loop, "validate", fails_in_the_end)
    arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / "out")]
    changes = ["teacher=null", "record.validate_every=1"]
    changes += [f"loss.{name}=0" for name in DISTILLATION]
    assert cli.main([*arguments, "--set", *changes]) == 2
    captured = capsys.readouterr()
    assert "model: the best, of step 1, validation MAE" in captured.out
    assert captured.err.startswith("lircdepth train: step 2: the depth of validation sample x is")
    assert read_description(tmp_path / "out" / "model").trained


def test_two_processes_of_torchrun_learn_together_and_write_once(config, tmp_path):
    out = tmp_path / "two"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "lircdepth_core.cli", "train", "student", "--config", config, "--out", out]
    settings = ["teacher=null", "optimiser.precision=fp32", "length.steps=1"]
    settings += [f"loss.{name}=0" for name in DISTILLATION]
    done = subprocess.run(
        [sys.executable, *torchrun, *map(str, command), "--device", "cpu", "--set", *settings],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "step", "validation", "end"]
    assert (events[0]["ranks"], events[0]["images_per_step"]) == (2, 2)
    assert done.stdout.count("model: the best, of step 1") == 1
    assert "an update is of 2 images, 1 of each of 2 processes x accumulate 1" in done.stdout
    assert read_description(out / "model").trained


def test_denormals_are_flushed_while_a_network_learns(config, tmp_path, monkeypatch):
    if not torch.set_flush_denormal(False):
        pytest.skip("this CPU cannot flush denormals")
    quarters = []

    def train(*_):
        quarters.append(float(torch.tensor([1.2e-38]) / 4))
        return 0

    monkeypatch.setattr("lircdepth_core.training.command._train_teacher", train)
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["train", "teacher", "--config", str(config), *out]) == 0
    assert quarters == [0]


def test_a_teacher_learns_and_then_teaches(config, tmp_path):
    def run(network: str, *changes: str) -> dict:
        out = tmp_path / network
        arguments = ["train", network, "--config", str(config), "--out", str(out)]
        assert cli.main([*arguments, "--set", "length.steps=1", *changes]) == 0
        records = map(json.loads, (out / "log.jsonl").open())
        return next(record for record in records if record["event"] == "step")

    assert run("teacher")["confidence"] > 0
    model = tmp_path / "teacher" / "model"
    before = starting_network("teacher", Start(), 0)[0].state_dict()
    after = load_teacher(str(model), 200.0).state_dict()
    name = "encoder.base_model.conv1.weight"
    assert not torch.equal(after[name], before[name])
    step = run("student", f"teacher={model}", "loss.uncertainty=0")
    assert all(step[name] > 0 for name in DISTILLATION)
    assert not read_description(tmp_path / "student" / "model").uncertainty_trained


def test_a_distilled_run_goes_on_with_its_teacher_and_its_average_becomes_a_model(
    config, tmp_path, capsys
):
    folder = tmp_path / "teacher"

    def write_teacher(seed: int) -> None:
        torch.manual_seed(seed)
        described = describe_model(
            network="teacher", uncertainty_trained=False, weights=StoredWeights("", "")
        )
        shutil.rmtree(folder, ignore_errors=True)
        write_model(folder, Teacher(), described, "card")

    def run(out: str, *more: str) -> int:
        arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / out)]
        changes = (f"teacher={folder}", "optimiser.ema_decay=0.5")
        return cli.main([*arguments, "--set", *changes, *more])

    write_teacher(1)
    assert run("whole") == 0
    assert run("parts", "--max-steps", "1") == 0
    write_teacher(2)
    assert run("parts") == 2
    assert "of a run with other parameters of its teacher; give the same" in capsys.readouterr().err
    write_teacher(1)
    assert run("parts") == 0
    other = the_same_tensors(tmp_path / "parts", tmp_path / "whole")
    model = tmp_path / "whole" / "model"
    stored = load_network(model, read_description(model)).state_dict()
    assert all(torch.equal(v, other[f"average.module.{k}"]) for k, v in stored.items())
    assert not all(torch.equal(v, other[f"network.{k}"]) for k, v in stored.items())


def test_a_small_student_starts_from_a_student_and_learns_from_it(config, tmp_path, capsys):
    torch.manual_seed(3)
    folder = tmp_path / "student"
    student = Student()
    described = describe_model(name="s", weights=StoredWeights("", ""))
    write_model(folder, student, described, "card")

    def run(*changes: str) -> int:
        arguments = ["train", "small_student", "--config", str(config)]
        changes = (f"teacher={folder}", f"start.image_encoder={folder}", *changes)
        return cli.main([*arguments, "--out", str(tmp_path / "run"), "--set", *changes])

    assert run() == 2
    assert "loss.image_feature: a small student's features are narrower" in capsys.readouterr().err
    narrower = ("loss.image_feature=0", "loss.radar_feature=0")
    assert run(*narrower) == 2
    assert "is a student, whose intermediate depths are depths only if" in capsys.readouterr().err
    assert run(*narrower, "loss.inter_depth=0", "optimiser.learning_rate=1e-9") == 0
    records = map(json.loads, (tmp_path / "run" / "log.jsonl").open())
    step = next(record for record in records if record["event"] == "step")
    assert step["structure"] > 0
    trained = tmp_path / "run" / "model"
    network = load_network(trained, read_description(trained))
    assert isinstance(network, SmallStudent)
    name = "encoder.base_model.5.conv.0.0.weight"
    torch.testing.assert_close(network.state_dict()[name], student.state_dict()[name])
    predictor = Predictor.load(trained, "cpu")
    assert predictor.warm_up(64, 32) is None


@pytest.mark.parametrize(
    ("network", "changes", "words"),
    [
        ("student", ["start.image_encoder={teacher}"], "start.image_encoder: not for a student"),
        ("small_student", ["start.image_encoder={teacher}"], "is a teacher; give a student"),
        ("small_student", ["start.image_encoder={untrained}"], "is not trained; give null"),
        ("small_student", ["start.model={teacher}"], "is a teacher; give a small_student"),
        ("small_student", ["start.model={teacher}/model.yaml"], "no small_student was published"),
        (
            "small_student",
            ["start.model=a", "start.image_encoder=b"],
            "image_encoder: the model has its own",
        ),
        (
            "small_student",
            ["start.image_encoder=a", "start.imagenet.mobilenet_v2=b"],
            "imagenet.mobilenet_v2: image_encoder is given",
        ),
    ],
)
def test_what_no_encoder_can_start_from_is_one_line(
    network, changes, words, config, teacher, make_model, tmp_path, capsys
):
    untrained = tmp_path / "untrained"
    untrained.mkdir()
    described = make_model(trained=False, uncertainty_trained=False, weights=SeededWeights(1))
    (untrained / "model.yaml").write_text(format_description(described))
    changes = [change.format(teacher=teacher, untrained=untrained) for change in changes]
    alone = ["teacher=null", *(f"loss.{name}=0" for name in DISTILLATION)]
    arguments = ["train", network, "--config", str(config), "--out", str(tmp_path / "run")]
    assert cli.main([*arguments, "--set", *alone, *changes]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_head_learns_alone_and_the_depth_stays_bit_by_bit(config, tmp_path):
    torch.manual_seed(2)
    published = Student().state_dict()
    torch.save({"model": {f"module.{k}": v for k, v in published.items()}}, tmp_path / "published")

    def run(out: str, start: Path, *changes: str) -> int:
        arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / out)]
        others = ("depth_dense", "depth_single", "smoothness", *DISTILLATION)
        head = ["learns=uncertainty", "teacher=null", *(f"loss.{name}=0" for name in others)]
        return cli.main([*arguments, "--set", *head, f"start.model={start}", *changes])

    assert run("first", tmp_path / "published", "data.padding=0.5") == 0
    folder = tmp_path / "first" / "model"
    description = read_description(folder)
    assert description.input.crop == Crop(None, HEIGHT, CAMERA.K[1, 2])
    assert description.uncertainty_trained
    learned = load_network(folder, description).state_dict()
    changed = {name for name, value in learned.items() if not torch.equal(value, published[name])}
    assert changed
    assert all(name.startswith("uncertainty_head.") for name in changed)

    # A model folder's crop is kept, and its focal length is held to.
    crop = dataclasses.replace(description.input, crop=Crop(2, 60))
    write_description(folder, dataclasses.replace(description, input=crop))
    assert run("second", folder) == 0
    assert read_description(tmp_path / "second" / "model").input == crop
    assert run("third", folder, "data.focal_length=300") == 2
    assert run("third", folder, "data.interpolation=cubic") == 2
    write_description(folder, dataclasses.replace(description, trained=False))
    assert run("third", folder) == 2


def test_what_was_best_becomes_a_model_though_the_data_are_lost(config, tmp_path, capsys):
    out, shard = tmp_path / "lost", tmp_path / "train" / "scene-0.tar"
    arguments = ["train", "teacher", "--config", str(config), "--out", str(out)]
    changes = ["--set", "record.validate_every=1", "record.checkpoint_every=1", "length.steps=9"]
    assert cli.main([*arguments, *changes, "--max-steps", "1"]) == 0
    shutil.rmtree(out / "model")
    moved = loop.validate

    def then_lost(*given, **options):
        result = moved(*given, **options)
        shard.unlink(missing_ok=True)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "validate", then_lost)
        assert cli.main([*arguments, *changes]) == 2
    assert "scene-0.tar" in capsys.readouterr().err
    assert read_description(out / "model").input.crop == Crop(None, HEIGHT, CAMERA.K[1, 2])


def test_a_head_that_does_not_learn_while_the_depth_does_is_not_trained(
    config, tmp_path, monkeypatch
):
    folder, told = tmp_path / "trained", []
    write_model(folder, Student(), describe_model(weights=StoredWeights("", "")), "card")

    def train(*_, uncertainty_trained, **__):
        told.append(uncertainty_trained)
        return 0

    monkeypatch.setattr("lircdepth_core.training.command._train", train)
    alone = ["teacher=null", *(f"loss.{name}=0" for name in DISTILLATION)]
    for weight in (0, 1):
        changes = [*alone, f"start.model={folder}", f"loss.uncertainty={weight}"]
        arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / "out")]
        assert cli.main([*arguments, "--set", *changes]) == 0
    assert told == [False, True]


@pytest.mark.parametrize("field", ["teacher", "start.model"])
def test_the_parameters_of_a_model_folder_alone_are_no_model(field, config, tmp_path, capsys):
    path = tmp_path / "chosen.safetensors"
    path.touch()
    arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--set", "teacher=null", f"{field}={path}"]) == 2
    assert f"{field}: {path} holds parameters alone; give the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["start.model=null"], "start.model: null; give the model"),
        (["loss.depth_dense=1"], "loss.depth_dense: 1; learns: uncertainty wants 0"),
        (["loss.uncertainty=0", "loss.smoothness=1"], "loss.smoothness: 1; learns"),
    ],
)
def test_what_would_change_the_depth_is_refused(changes, words):
    path = Path(__file__).parents[3] / "config" / "train_uncertainty.yaml"
    with pytest.raises(InputError, match=words):
        read_config(StudentTraining, path, ["start.model=any", *changes])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["teacher=null"], "teacher: null, but a distillation weight in loss is not 0"),
        (["teacher={teacher}", "data.focal_length=300"], "learned with a focal length of 200 px"),
        (["teacher={teacher}", "start.model={teacher}"], "is a teacher; give a student"),
        (["teacher={teacher}", "teacher_precision=fp16"], "teacher_precision: fp16 on cpu"),
        (["teacher=nowhere"], "teacher: model nowhere: no model.yaml"),
        (["teacher={teacher}", "data.dense_from=single_scan"], "loss.inter_depth: 1, but"),
        (
            ["teacher=null", "data.dense_from=single_scan", "loss.inter_depth=0"],
            "loss.depth_dense: 1, but",
        ),
        (["teacher={teacher}", "start.imagenet.resnet18=r.pth"], "start.imagenet.resnet18"),
        (["teacher={teacher}", "start.imagenet.mobilenet_v2=m.pth"], "m.pth: "),
        (
            ["teacher={teacher}", "start.model=m", "start.imagenet.mobilenet_v2=m.pth"],
            "start.imagenet.mobilenet_v2: the model has its own backbones; give null",
        ),
    ],
)
def test_what_cannot_work_is_one_line(changes, words, config, teacher, tmp_path, capsys):
    changes = [change.format(teacher=teacher) for change in changes]
    arguments = ["train", "student", "--config", str(config), "--out", str(tmp_path / "run")]
    assert cli.main([*arguments, "--set", *changes]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_untrained_teacher_does_not_teach(tmp_path, make_model):
    description = make_model(
        network="teacher", trained=False, uncertainty_trained=False, weights=SeededWeights(1)
    )
    (tmp_path / "model.yaml").write_text(format_description(description))
    with pytest.raises(InputError, match="is not trained"):
        load_teacher(str(tmp_path), 200.0)


def test_a_published_checkpoint_is_gone_on_from(tmp_path):
    torch.manual_seed(2)
    state = Student().state_dict()
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "published")
    network, description = starting_network("student", Start(str(tmp_path / "published")), 0)
    assert description is None
    found = network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_head_that_a_published_checkpoint_lacks_comes_of_the_seed(tmp_path):
    """A run that is killed before its first checkpoint begins as it did."""
    state = {k: v for k, v in Student().state_dict().items() if "uncertainty_head" not in k}
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "published")
    heads = []
    for seed in (0, 0, 1):
        torch.rand(len(heads) + 1)
        network, _ = starting_network("student", Start(str(tmp_path / "published")), seed)
        heads.append(torch.cat([each.flatten() for each in network.uncertainty_head.parameters()]))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_backbones_start_from_imagenet_and_the_rest_from_the_seed(mobilenet):
    start = Start(imagenet=ImageNet(mobilenet_v2=str(mobilenet)))
    network, _ = starting_network("student", start, 4)
    same, _ = starting_network("student", start, 4)
    other, _ = starting_network("student", start, 5)
    assert isinstance(network, Student)
    expected = torch.load(mobilenet, weights_only=True)["features.0.0.weight"]
    for encoder in (network.encoder, network.encoder_radar):
        assert torch.equal(encoder.base_model.state_dict()["0.0.weight"], expected)
    name = "decoder.conv1.0.weight"
    assert torch.equal(network.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(network.state_dict()[name], other.state_dict()[name])


def test_the_help_says_what_is_written_and_how_to_go_on(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for word in ("--config", "--set", "--out", "--time-limit", "--max-steps", "torchrun", "130"):
        assert word in text
