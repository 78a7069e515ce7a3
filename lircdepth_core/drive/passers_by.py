"""People on foot as models: adults, children, workers, with push chairs, in wheelchairs; dogs."""

from __future__ import annotations

import numpy as np

from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.people import add_person
from lircdepth_core.drive.terrain import pose_upright
from lircdepth_core.drive.vehicles import Model, model_of


def make_person(rng: np.random.Generator, stride: float) -> Model:
    """An adult or now and then a child, on foot; `stride` as for `add_person`."""
    child = rng.random() < 0.14
    builder = MeshBuilder()
    height = rng.uniform(1.05, 1.4) if child else rng.normal(1.72, 0.08)
    add_person(builder, rng, float(np.clip(height, 1.0, 2.0)), stride)
    return model_of(f"human.pedestrian.{'child' if child else 'adult'}", builder.mesh())


def make_worker(rng: np.random.Generator) -> Model:
    """A construction worker in a reflective vest."""
    builder = MeshBuilder()
    orange = rng.random() < 0.5
    vest = (0.75, 0.16, 0.01) if orange else (0.5, 0.65, 0.03)
    add_person(builder, rng, float(rng.normal(1.76, 0.06)), 0.0, vest, (0.7, 0.6, 0.05))
    return model_of("human.pedestrian.construction_worker", builder.mesh())


def make_officer(rng: np.random.Generator) -> Model:
    """A police officer."""
    builder = MeshBuilder()
    add_person(
        builder, rng, float(rng.normal(1.78, 0.05)), 0.0, (0.02, 0.03, 0.08), (0.02, 0.02, 0.03)
    )
    return model_of("human.pedestrian.police_officer", builder.mesh())


def make_sitting(rng: np.random.Generator) -> Model:
    """Somebody on a low wall: the lower half hangs in front of it."""
    builder = MeshBuilder()
    builder.box((-0.2, 0, 0.22), (0.5, 1.4, 0.44), "concrete", (0.4, 0.39, 0.37))
    person = MeshBuilder()
    add_person(person, rng, 1.7, 0.0)
    mesh = person.mesh()
    vertices = mesh.vertices.copy()
    hip = 0.5 * 1.7
    below = vertices[:, 2] < hip
    # Thighs forward, shins down: the leg's upper half is bent to the front at the hip.
    drop = hip - vertices[below, 2]
    thigh = np.minimum(drop, 0.42)
    vertices[below, 0] += thigh
    vertices[below, 2] = hip - np.maximum(drop - 0.42, 0) - 0.04
    vertices[:, 2] -= hip - 0.5
    builder.add_mesh(type(mesh)(vertices, mesh.faces, mesh.materials, mesh.tints))
    return model_of("human.pedestrian.adult", builder.mesh())


def make_walking(rng: np.random.Generator) -> Model:
    """Somebody on the way: alone, with a push chair, in a wheelchair, on a scooter; or a dog."""
    kind = rng.choice(
        ["alone", "push chair", "wheelchair", "scooter", "dog"], p=[0.88, 0.035, 0.025, 0.04, 0.02]
    )
    dark = (0.03, 0.03, 0.035)
    builder = MeshBuilder()
    if kind == "alone":
        return make_person(rng, float(rng.uniform(0.2, 0.34)))
    if kind == "dog":
        tint = tuple(rng.uniform(0.03, 0.3) * np.array([1, 0.75, 0.5]))
        builder.ball((0, 0, 0.42), (0.36, 0.13, 0.14), "hair", tint, 10)
        builder.ball((0.4, 0, 0.56), (0.15, 0.09, 0.1), "hair", tint, 8)
        for x in (-0.22, 0.24):
            for y in (-0.08, 0.08):
                builder.tube(np.array([[x, y, 0.4], [x, y, 0.0]]), 0.04, "hair", tint, 6)
        builder.tube(np.array([[-0.33, 0, 0.45], [-0.5, 0, 0.6]]), 0.025, "hair", tint, 5)
        return model_of("animal", builder.mesh())
    if kind == "push chair":
        builder.ball((0.05, 0, 0.62), (0.38, 0.24, 0.25), "fabric", (0.05, 0.08, 0.2), 10)
        for x in (-0.28, 0.35):
            for y in (-0.24, 0.24):
                wheel = np.array([[x, y - 0.02, 0.13], [x, y + 0.02, 0.13]])
                builder.tube(wheel, 0.13, "rubber", sides=10)
        for y in (-0.2, 0.2):
            builder.tube(
                np.array([[0.35, y, 0.13], [-0.2, y, 0.7], [-0.5, y, 1.02]]),
                0.018,
                "metal",
                sides=5,
            )
        return model_of("human.pedestrian.stroller", builder.mesh())
    if kind == "wheelchair":
        for y in (-0.3, 0.3):
            wheel = np.array([[-0.1, y - 0.02, 0.31], [-0.1, y + 0.02, 0.31]])
            builder.tube(wheel, 0.31, "rubber", sides=14)
        builder.box((0.0, 0, 0.5), (0.45, 0.5, 0.06), "fabric", dark)
        builder.box((-0.24, 0, 0.75), (0.05, 0.5, 0.5), "fabric", dark)
        sitter = make_sitting(rng).mesh
        keep = sitter.materials != INDEX["concrete"]
        builder.add_mesh(
            type(sitter)(
                sitter.vertices, sitter.faces[keep], sitter.materials[keep], sitter.tints[keep]
            )
        )
        return model_of("human.pedestrian.wheelchair", builder.mesh())
    builder.box((0, 0, 0.12), (0.75, 0.14, 0.05), "plastic", dark)
    builder.tube(np.array([[0.4, 0, 0.1], [0.3, 0, 1.05]]), 0.025, "metal", sides=6)
    builder.tube(np.array([[0.3, -0.22, 1.05], [0.3, 0.22, 1.05]]), 0.02, "plastic", dark, 6)
    for x in (-0.42, 0.42):
        builder.tube(np.array([[x, -0.03, 0.1], [x, 0.03, 0.1]]), 0.1, "rubber", sides=10)
    person = MeshBuilder()
    add_person(person, rng, float(rng.normal(1.72, 0.07)), 0.08)
    builder.add_mesh(person.mesh(), pose_upright(np.array([-0.08, 0, 0.14]), 0.0))
    return model_of("human.pedestrian.personal_mobility", builder.mesh())
