"""Adds annotations to the simple generated scene: its four moving cars, at every sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from simple_scene import VERSION
from simple_scene.street import Material, Street

CAR_HEIGHT = 1.48


def moving_cars(seconds: float, seed: int = 0) -> list[dict]:
    """Centre, size (width, length, height) and rotation (w, x, y, z) of the cars at a time."""
    boxes = Street(seed).boxes(seconds)
    bodies = (boxes.material == Material.CAR_BODY) & (np.abs(boxes.velocity).max(axis=1) > 0)
    return [
        {
            "translation": [float(x), float(y), CAR_HEIGHT / 2],
            "size": [float(2 * half[1]), float(2 * half[0]), CAR_HEIGHT],
            "rotation": [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))],
        }
        for (x, y, _), half, yaw in zip(
            boxes.centre[bodies], boxes.half[bodies], boxes.yaw[bodies], strict=True
        )
    ]


def annotate(dataroot: Path, *, start: int = 1_577_836_800_000_000) -> None:
    """Write the cars of every sample into the tables of a scene of `write_scene`."""
    tables = dataroot / VERSION

    def read(name: str) -> list[dict]:
        return json.loads((tables / f"{name}.json").read_text())

    samples = read("sample")
    annotations: list[dict] = []
    instances: list[dict] = []
    for car in range(4):
        tokens = [f"annotation-{car}-{number}" for number in range(len(samples))]
        for number, sample in enumerate(samples):
            annotations.append(
                {
                    "token": tokens[number],
                    "sample_token": sample["token"],
                    "instance_token": f"car-{car}",
                    "visibility_token": "4",
                    "attribute_tokens": [],
                    **moving_cars((sample["timestamp"] - start) * 1e-6)[car],
                    "prev": tokens[number - 1] if number else "",
                    "next": tokens[number + 1] if number + 1 < len(samples) else "",
                    "num_lidar_pts": 0,
                    "num_radar_pts": 0,
                }
            )
        instances.append(
            {
                "token": f"car-{car}",
                "category_token": "category-car",
                "nbr_annotations": len(samples),
                "first_annotation_token": tokens[0],
                "last_annotation_token": tokens[-1],
            }
        )
    category = [{"token": "category-car", "name": "vehicle.car", "description": ""}]
    for name, rows in (
        ("sample_annotation", annotations),
        ("instance", instances),
        ("category", category),
    ):
        (tables / f"{name}.json").write_text(json.dumps(rows))


def edit_table(dataroot: Path, name: str, change: Callable[[list[dict]], object]) -> None:
    """Let a function change the rows of a table in place."""
    path = dataroot / VERSION / f"{name}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def add_scene(dataroot: Path, name: str) -> None:
    """Add a scene that is a copy of the first one, with tokens of its own and the same files."""
    tables = ("scene", "sample", "sample_data", "ego_pose", "sample_annotation", "instance")
    rows = {
        table: json.loads((dataroot / VERSION / f"{table}.json").read_text()) for table in tables
    }
    own = {row["token"] for table in tables for row in rows[table] if "+" not in row["token"]}

    def renamed(value: object) -> object:
        return f"{value}+{name}" if isinstance(value, str) and value in own else value

    for table in tables:
        first = [row for row in rows[table] if row["token"] in own]
        copies = [{field: renamed(value) for field, value in row.items()} for row in first]
        if table == "scene":
            copies[0]["name"] = name
        rows[table] += copies
        (dataroot / VERSION / f"{table}.json").write_text(json.dumps(rows[table]))
