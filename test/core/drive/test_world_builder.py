"""Worlds follow from their seed, and what moves in them could move like that."""

import functools

import numpy as np
import pytest

pytest.importorskip("mapbox_earcut", reason="needs the extra 'drive'")
pytest.importorskip("shapely", reason="needs the extra 'drive'")

import shapely

from lircdepth_core.drive import world_builder
from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.scenery import Scenery
from lircdepth_core.drive.vehicles import KINDS, make_vehicle
from lircdepth_core.drive.weather import conditions_of
from lircdepth_core.drive.world import World
from lircdepth_core.drive.world_builder import build_world
from lircdepth_core.errors import InputError

DURATION = 5.0
TIMES = np.arange(0.0, DURATION + 0.1, 1.25)


@functools.cache
def world_of(seed: int) -> World:
    """Not to be changed: a world takes seconds to build."""
    return build_world(seed, DURATION)


@pytest.fixture(scope="module", params=[0, 3])
def world(request: pytest.FixtureRequest) -> World:
    return world_of(request.param)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds are built without ground and scenery, which nothing that moves depends on."""
    builder = MeshBuilder()
    builder.box((0, 0, 0), (1, 1, 1), "plaster")
    mesh = builder.mesh()
    monkeypatch.setattr(world_builder, "ground_mesh", lambda *_: mesh)
    monkeypatch.setattr(world_builder, "build_scenery", lambda *_: Scenery(mesh, ()))


def ground_below(world: World, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height and material of what lies below places (N, 3), found with embree."""
    rtcore_scene = pytest.importorskip("embreex.rtcore_scene", reason="embreex is not installed")
    from embreex.mesh_construction import TriangleMesh

    scene = rtcore_scene.EmbreeScene()
    # Twigs may hang over pavements.
    solid = world.static.materials != INDEX["leaves"]
    faces, materials = world.static.faces[solid], world.static.materials[solid]
    TriangleMesh(scene, world.static.vertices, faces)
    above = (places + (0, 0, 0.5)).astype(np.float32)
    down = np.tile(np.array([0, 0, -1], dtype=np.float32), (len(places), 1))
    hits = scene.run(above, down, query="INTERSECT", output=True)
    assert (hits["primID"] >= 0).all()
    return above[:, 2] - hits["tfar"], materials[hits["primID"]]


def test_the_seed_decides() -> None:
    one, same, other = world_of(0), build_world(0, DURATION), world_of(3)

    assert np.array_equal(one.static.vertices, same.static.vertices)
    assert np.array_equal(one.static.tints, same.static.tints)
    assert one.conditions == same.conditions
    assert len(one.things) == len(same.things)
    for thing, twin in zip(one.things, same.things, strict=True):
        assert thing.category == twin.category
        assert np.array_equal(thing.mesh.vertices, twin.mesh.vertices)
        assert np.array_equal(thing.pose(0.7), twin.pose(0.7))
    assert np.array_equal(one.ego_pose(0.7), same.ego_pose(0.7))
    assert one.static.vertices.shape != other.static.vertices.shape
    assert not np.allclose(one.ego_pose(0.0), other.ego_pose(0.0))


def test_things_stand_on_the_ground(world: World) -> None:
    for time in (0.0, DURATION):
        places = np.array([thing.pose(time)[:3, 3] for thing in world.things])
        height, _ = ground_below(world, places)

        gap = np.abs(places[:, 2] - height)
        # Somebody about to step off the kerb may be above the edge.
        assert np.mean(gap < 0.03) > 0.97
        assert gap.max() < 0.16


def test_things_fill_their_boxes(world: World) -> None:
    for thing in world.things:
        width, length, height = thing.size
        low, high = (f(thing.mesh.vertices[thing.mesh.faces.ravel()]) for f in (low_of, high_of))
        assert high - low == pytest.approx((length, width, height), abs=1e-4)
        assert low + high == pytest.approx((0, 0, height), abs=1e-4)
        assert low[2] == pytest.approx(0, abs=1e-4)


def low_of(points: np.ndarray) -> np.ndarray:
    return points.min(axis=0)


def high_of(points: np.ndarray) -> np.ndarray:
    return points.max(axis=0)


def outline(pose: np.ndarray, size: tuple[float, float, float], ahead: float) -> shapely.Polygon:
    width, length, _ = size
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (length / 2, width / 2)
    corners[:, 0] += ahead
    return shapely.Polygon(corners @ pose[:2, :2].T + pose[:2, 3])


def test_nothing_drives_through_another(world: World) -> None:
    for time in TIMES:
        outlines = np.array([outline(thing.pose(time), thing.size, 0.0) for thing in world.things])
        tree = shapely.STRtree(shapely.buffer(outlines, -0.1))
        one, other = tree.query(shapely.buffer(outlines, -0.1), predicate="intersects")
        assert (one == other).all()
        ego = outline(world.ego_pose(time), (1.73, 4.08, 1.56), 1.35)
        assert len(tree.query(ego, predicate="intersects")) == 0


def test_ego_drives_on_the_carriageway(world: World) -> None:
    times = np.arange(0, DURATION, 0.1)
    poses = np.array([world.ego_pose(time) for time in times])
    height, material = ground_below(world, poses[:, :3, 3])

    assert np.abs(height - poses[:, 2, 3]).max() < 0.03
    assert np.isin(material, [INDEX["asphalt"], INDEX["marking"]]).all()
    step = np.diff(poses[:, :3, 3], axis=0)
    forward = (step * poses[:-1, :3, 0]).sum(axis=1)
    assert (forward > -1e-3).all()
    assert np.abs(step - forward[:, None] * poses[:-1, :3, 0]).max() < 0.03
    speed = forward / 0.1
    assert 1 < speed.max() < 16
    assert np.abs(np.diff(speed) / 0.1).max() < 9


def test_ego_accelerates_brakes_and_turns_on_roads_with_curves_and_slopes(bare: None) -> None:
    world = build_world(1, 20.0)
    poses = np.array([world.ego_pose(time) for time in np.arange(0, 20, 0.1)])
    speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / 0.1
    acceleration = np.diff(speed) / 0.1
    assert acceleration.max() > 1
    assert acceleration.min() < -1
    yaw = np.unwrap(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    assert np.ptp(yaw) > np.radians(60)
    assert np.ptp(poses[:, 2, 3]) > 1
    assert np.abs(poses[:, 2, 0]).max() > 0.02


def test_velocity_is_the_derivative_of_the_place(world: World) -> None:
    moving = [thing for thing in world.things if thing.moves]
    assert len(moving) > 10
    for thing in moving:
        for time in (1.05, 3.55):
            apart = thing.pose(time + 0.02)[:3, 3] - thing.pose(time - 0.02)[:3, 3]
            # Heights change in steps where people step off kerbs.
            assert thing.velocity(time)[:2] == pytest.approx(apart[:2] / 0.04, abs=0.4)


def test_attributes_tell_what_things_do(world: World) -> None:
    for thing in world.things:
        attribute, speed = thing.attribute(2.0), np.linalg.norm(thing.velocity(2.0))
        if attribute in ("vehicle.moving", "pedestrian.moving"):
            assert speed > 0.15
        if attribute in ("vehicle.parked", "pedestrian.standing", "cycle.without_rider"):
            assert speed < 0.25
        if thing.category == "vehicle.car":
            assert attribute in ("vehicle.moving", "vehicle.stopped", "vehicle.parked")


def test_all_detection_categories_occur(bare: None) -> None:
    wanted = {
        "vehicle.car", "vehicle.truck", "vehicle.bus.rigid", "vehicle.trailer",
        "vehicle.construction", "vehicle.motorcycle", "vehicle.bicycle",
        "human.pedestrian.adult", "human.pedestrian.child",
        "human.pedestrian.construction_worker", "movable_object.barrier",
        "movable_object.trafficcone",
    }  # fmt: skip
    for seed in range(13, 20):
        wanted -= {thing.category for thing in build_world(seed, 1.0).things}
        if not wanted:
            break

    assert not wanted


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("car", (1.6, 3.7, 1.3), (2.3, 5.2, 2.0)),
        ("bus", (2.4, 10, 2.8), (3.3, 13, 3.8)),
        ("lorry", (2.3, 6, 2.6), (3.2, 10, 4.1)),
        ("bicycle", (0.35, 1.5, 1.4), (0.9, 2.0, 2.1)),
        ("motorcycle", (0.5, 1.8, 1.3), (1.1, 2.5, 2.0)),
    ],
)
def test_vehicles_have_real_sizes(
    kind: str, low: tuple[float, ...], high: tuple[float, ...]
) -> None:
    for seed in range(5):
        model = make_vehicle(np.random.default_rng(seed), kind)
        assert model.category == KINDS[kind][0]
        assert (np.array(model.size) >= low).all(), model.size
        assert (np.array(model.size) <= high).all(), model.size


@pytest.mark.parametrize("duration", [0.0, -1.0, 500.0, float("nan")])
def test_bad_duration_is_refused(duration: float) -> None:
    with pytest.raises(InputError, match="duration"):
        build_world(0, duration)


def test_conditions_are_as_asked() -> None:
    rng = np.random.default_rng(0)
    fog, night = conditions_of("fog", "day", rng), conditions_of("clear", "night", rng)

    assert fog.visibility < 300
    assert night.visibility == np.inf
    assert night.sun_elevation < 0
