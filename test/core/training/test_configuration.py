"""Configurations are read strictly, changed on the command line, and written out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.training.command import StudentTraining, TeacherTraining
from lircdepth_core.training.config import Length, TrainingConfig
from lircdepth_core.training.config_files import differences, format_config, read_config

CONFIG_FOLDER = Path(__file__).resolve().parents[3] / "config"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train_student.yaml", StudentTraining),
        ("train_teacher.yaml", TeacherTraining),
        ("train_student_scratch.yaml", StudentTraining),
        ("train_teacher_scratch.yaml", TeacherTraining),
        ("train_uncertainty.yaml", StudentTraining),
        ("train_small_student.yaml", StudentTraining),
    ],
)
def test_each_example_is_read_and_what_is_saved_reads_back(name, kind, tmp_path):
    given = ["start.model=published.pth"] if name == "train_uncertainty.yaml" else []
    config = read_config(kind, CONFIG_FOLDER / name, given)
    (tmp_path / "saved.yaml").write_text(format_config(config))
    assert read_config(kind, tmp_path / "saved.yaml") == config


def test_the_recipe_is_the_published_one():
    config = read_config(StudentTraining, CONFIG_FOLDER / "train_student.yaml")
    assert (config.data.height, config.data.width, config.data.batch_size) == (352, 704, 6)
    assert config.length == Length(epochs=200)
    optimiser = config.optimiser
    assert (optimiser.learning_rate, optimiser.end_share, optimiser.power) == (5e-5, 0.1, 0.9)
    assert (optimiser.eps, optimiser.encoder_weight_decay) == (1e-2, 1e-4)
    assert optimiser.decoder_weight_decay == 0


def test_fields_are_changed_on_the_command_line(tiny_config):
    config = read_config(
        TrainingConfig,
        tiny_config,
        ["optimiser.learning_rate=1e-4", "data.train=[a, b]", "optimiser.ema_decay=null",
         "start.imagenet.mobilenet_v2=m.pth", "data.focal_length=317"],
    )  # fmt: skip
    assert config.optimiser.learning_rate == 1e-4
    assert config.data.train == ("a", "b")
    assert config.optimiser.ema_decay is None
    assert config.start.imagenet.mobilenet_v2 == "m.pth"
    assert config.data.focal_length == 317.0
    plain = read_config(TrainingConfig, tiny_config)
    assert differences(config, plain) == [
        "data.train",
        "data.focal_length",
        "start.imagenet.mobilenet_v2",
        "optimiser.learning_rate",
        "optimiser.ema_decay",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.lr=1", "optimiser.lr: this field is unknown; there are learning_rate"),
        ("optimizer.eps=1", "optimizer: this field is unknown"),
        ("data.batch_size=two", "data.batch_size: give a whole number"),
        ("data.batch_size=2.0", "data.batch_size: give a whole number"),
        ("data.batch_size=true", "data.batch_size: give a whole number"),
        ("data.batch_size=0", "data.batch_size: 0, give 1 or more"),
        ("data.focal_length=long", "data.focal_length: give a number"),
        ("data.train=shards", "data.train: give a list"),
        ("data.train=[3]", "data.train[0]: give a text"),
        ("data.truth=lidar", "data.truth: give one of exact, dense, single_scan"),
        ("data.height=100", "data.height, width: crop 64x100"),
        ("optimiser.learning_rate=.nan", "optimiser.learning_rate: nan"),
        ("optimiser.ema_decay=2", "optimiser.ema_decay: 2, give a number from 0 to 1"),
        ("optimiser.ema_decay=1", "ema_decay: 1 would keep the first parameters"),
        ("data.radar_dropout.all_returns=-1", "data.radar_dropout.all_returns: -1"),
        ("length.steps=null", "length.epochs: give this, steps or image_steps"),
        ("data=3", "data: give a mapping"),
        ("seed", "give section.field=value"),
        ("seed=[", "the value is not YAML"),
        ("seed=2020-13-45", "the value is not YAML"),
        ("seed=!!bool seven", "the value is not YAML"),
        ("seed=!!timestamp seven", "the value is not YAML"),
        ("seed=" + "[" * 5000, "the value is not YAML"),
        ("seed=" + "9" * 5000, "the value is not YAML"),
        ("seed=1" + "0" * 30, "seed: an integer of 100 bits; give a smaller one"),
        ("optimiser.learning_rate=1" + "0" * 400, "optimiser.learning_rate: an integer of"),
    ],
)
def test_a_bad_change_is_named_in_one_line(change, words, tiny_config):
    with pytest.raises(InputError) as error:
        read_config(TrainingConfig, tiny_config, [change])
    assert f"--set {change}" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("replaced", "by", "words"),
    [
        ("  focal_length: 200\n", "", "data.focal_length: this field is missing; add it"),
        ("seed: 5", "seed: five", "seed: give a whole number"),
        ("seed: 5", "seed: 5\nseed: 6", "twice"),
        ("seed: 5", "seed: [", "not YAML"),
        ("seed: 5", "seed: !!bool seven", "not YAML"),
        ("seed: 5", "seed: !!timestamp seven", "not YAML"),
        ("seed: 5", "speed: 5", "speed: this field is unknown"),
    ],
)
def test_a_bad_file_is_named_with_its_field(replaced, by, words, tiny_config):
    text = tiny_config.read_text()
    assert replaced in text
    tiny_config.write_text(text.replace(replaced, by))
    with pytest.raises(InputError) as error:
        read_config(TrainingConfig, tiny_config)
    assert str(error.value).startswith(str(tiny_config))
    assert words in str(error.value)


def test_the_first_end_counts():
    assert Length(epochs=3).total_steps(steps_per_epoch=7, images_per_step=4) == 21
    assert Length(epochs=3, steps=20).total_steps(7, 4) == 20
    assert Length(steps=20, image_steps=41).total_steps(7, 4) == 11
