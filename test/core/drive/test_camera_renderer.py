"""Pictures of generated drives: exact depth, the same every time, weather that can be seen."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("mapbox_earcut", reason="needs the extra 'drive'")
pytest.importorskip("moderngl", reason="needs the extra 'drive'")

from lircdepth_core.camera import Camera
from lircdepth_core.drive.camera_renderer import CameraRenderer
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.sensor_effects import add_sensor_effects
from lircdepth_core.drive.weather import conditions_of
from lircdepth_core.drive.world import Conditions, Lamp, Thing, World
from lircdepth_core.drive.world_builder import build_world
from lircdepth_core.errors import InputError

WIDTH, HEIGHT = 320, 180
CAMERA = Camera(np.array([[253.0, 0, 163], [0, 253.0, 98], [0, 0, 1]]), WIDTH, HEIGHT)
OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
CLEAR = Conditions("clear", "day", 2.0, 0.8, np.inf)


@pytest.fixture(scope="module", autouse=True)
def _opengl() -> None:
    """Skip where no OpenGL can be had."""
    try:
        CameraRenderer(simple_world(CLEAR), 8, 8).close()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def town() -> World:
    return build_world(4, 4.0, CLEAR)


def simple_world(conditions: Conditions, distance: float = 12.0, night_lamp: bool = False) -> World:
    """A level floor and a grey wall 4 m wide and 6 m high, square to the camera's axis."""
    builder = MeshBuilder()
    floor = np.array([[-50, -50, 0], [200, -50, 0], [200, 50, 0], [-50, 50, 0]])
    builder.quads(floor[None], "asphalt")
    wall = np.array([[0, 2, -1], [0, -2, -1], [0, -2, 5], [0, 2, 5]]) + (distance, 0, 0)
    builder.quads(wall[None], "plaster", (0.5, 0.5, 0.5))
    lamp = Lamp(np.array([distance - 4, 0.0, 6.0]), (1.0, 0.9, 0.8), 25.0)
    return World(0, 1.0, builder.mesh(), (), lambda t: np.eye(4), conditions, (lamp,) * night_lamp)


def clean(world: World, pose: np.ndarray = OPTICAL) -> tuple[np.ndarray, np.ndarray]:
    with CameraRenderer(world, WIDTH, HEIGHT) as renderer:
        return renderer.render_clean(CAMERA, pose, 0.0)


def test_depth_of_wall_floor_and_sky() -> None:
    _, depth = clean(simple_world(CLEAR))

    # Columns of the wall: u = 163 - 253 y / 12 for y in [-2, 2].
    left, right = 163 - 253 * 2 / 12, 163 + 253 * 2 / 12
    columns = np.flatnonzero(np.abs(depth[98] - 12.0) < 1e-4)
    assert (columns[0], columns[-1]) == (np.ceil(left), np.floor(right))
    # The floor in row v is 1.5 m below the axis: depth = 1.5 f / (v - 98).
    assert depth[150, 10] == pytest.approx(1.5 * 253 / (150 - 98), rel=1e-5)
    assert depth.dtype == np.float32
    assert np.isposinf(depth[5, 10])


def test_depth_agrees_with_ray_casting(town: World) -> None:
    rtcore_scene = pytest.importorskip("embreex.rtcore_scene", reason="embreex is not installed")
    from embreex.mesh_construction import TriangleMesh

    time = 2.0
    meshes = [(town.static, np.eye(4)), *((thing.mesh, thing.pose(time)) for thing in town.things)]
    pose = town.ego_pose(time) @ np.array(
        [[0.0, 0, 1, 1.7], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]]
    )
    inverse = np.linalg.inv(pose)
    scene = rtcore_scene.EmbreeScene()
    for mesh, matrix in meshes:
        # In the camera's frame, where float32 is at its best.
        both = inverse @ matrix
        TriangleMesh(
            scene, (mesh.vertices @ both[:3, :3].T + both[:3, 3]).astype(np.float32), mesh.faces
        )
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - 163) / 253, (v - 98) / 253, np.ones_like(u, float)], axis=-1)
    rays = rays.reshape(-1, 3).astype(np.float32)
    truth = scene.run(np.zeros_like(rays), rays, query="DISTANCE").reshape(HEIGHT, WIDTH)

    with CameraRenderer(town, WIDTH, HEIGHT) as renderer:
        _, depth = renderer.render_clean(CAMERA, pose, time)

    seen = (truth < 3000) & np.isfinite(depth)
    error = np.abs(depth[seen] - truth[seen]) / truth[seen]
    assert seen.mean() > 0.4
    assert np.median(error) < 1e-5
    # The rest are pixels on edges, which fall to the one side or the other.
    assert np.mean(error < 1e-3) > 0.985
    assert np.mean((truth < 3000) != np.isfinite(depth)) < 0.005


def test_a_picture_does_not_depend_on_those_before(town: World) -> None:
    def pose(time: float) -> np.ndarray:
        return town.ego_pose(time) @ OPTICAL

    with CameraRenderer(town, WIDTH, HEIGHT) as renderer:
        for time in (0.0, 1.0):
            renderer.render(CAMERA, pose(time), time, np.random.default_rng(0))
        later = renderer.render(CAMERA, pose(3.5), 3.5, np.random.default_rng(7))
    with CameraRenderer(town, WIDTH, HEIGHT) as renderer:
        alone = renderer.render(CAMERA, pose(3.5), 3.5, np.random.default_rng(7))

    assert np.array_equal(later[0], alone[0])
    assert np.array_equal(later[1], alone[1])


def test_things_are_where_their_pose_is() -> None:
    builder = MeshBuilder()
    builder.box((0, 0, 1.0), (2.0, 2.0, 2.0), "car paint", (0.6, 0.0, 0.0))

    def pose(time: float) -> np.ndarray:
        matrix = np.eye(4)
        matrix[:3, 3] = 8.0 + time, 0.0, 0.0
        return matrix

    thing = Thing(
        "vehicle.car", (2.0, 2.0, 2.0), builder.mesh(), pose, lambda t: np.array([1.0, 0, 0]),
        lambda t: "vehicle.moving", True,
    )  # fmt: skip
    world = simple_world(CLEAR, 50.0)
    world = World(0, 1.0, world.static, (thing,), world.ego_pose, CLEAR, ())
    with CameraRenderer(world, WIDTH, HEIGHT) as renderer:
        for time in (0.0, 3.0):
            image, depth = renderer.render_clean(CAMERA, OPTICAL, time)
            assert depth[100, 163] == pytest.approx(7.0 + time, rel=1e-5)
            red, green, blue = image[100, 163].astype(int)
            assert red > 1.5 * max(green, blue)


def test_fog_takes_contrast_with_distance() -> None:
    def contrast(visibility: float, distance: float) -> float:
        weather = "fog" if visibility < np.inf else "overcast"
        conditions = Conditions(weather, "day", 2.0, 0.8, visibility)
        image, depth = clean(simple_world(conditions, distance))
        image = image.mean(axis=-1)
        return abs(float(image[np.isclose(depth, distance)].mean() - image[:20].mean()))

    assert contrast(np.inf, 60.0) > 1.5 * contrast(100.0, 60.0)
    assert contrast(100.0, 12.0) > 2 * contrast(100.0, 60.0)
    assert contrast(100.0, 150.0) < 6


def test_the_night_is_dark_and_lamps_light_it() -> None:
    night = Conditions("clear", "night", 0.0, -0.4, np.inf)
    day, _ = clean(simple_world(CLEAR))
    unlit, depth = clean(simple_world(night))
    lit, _ = clean(simple_world(night, night_lamp=True))

    wall = np.isclose(depth, 12.0)
    assert day.mean() > 2 * unlit.mean()
    assert lit[wall].mean() > unlit[wall].mean() + 20


def test_the_sun_casts_shadows_and_clouds_do_not() -> None:
    # The sun stands behind the wall, which shades the floor in front of it.
    def floor(weather: str) -> tuple[float, float]:
        image, _ = clean(simple_world(Conditions(weather, "day", 0.0, 0.5, np.inf)))
        return float(image[150:160, 150:175].mean()), float(image[150:160, :30].mean())

    shaded, sunlit = floor("clear")
    below, beside = floor("overcast")
    assert sunlit > 1.4 * shaded
    assert below == pytest.approx(beside, rel=0.2)


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 120, dtype=np.uint8)


def conditions() -> Iterator[Conditions]:
    rng = np.random.default_rng(0)
    for weather in ("clear", "overcast", "rain", "fog"):
        for light in ("day", "dusk", "night"):
            yield conditions_of(weather, light, rng)


@pytest.mark.parametrize("condition", conditions(), ids=lambda c: f"{c.weather}-{c.light}")
def test_sensor_effects_follow_their_generator(grey: np.ndarray, condition: Conditions) -> None:
    before = grey.copy()
    one, again, other = (
        add_sensor_effects(grey, condition, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )

    assert np.array_equal(grey, before)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.mean() == pytest.approx(116, abs=12)
    corner, middle = one[:20, :20].mean(), one[80:100, 150:170].mean()
    assert corner < middle


def test_night_is_noisier_than_day(grey: np.ndarray) -> None:
    def noise(light: str) -> float:
        condition = conditions_of("clear", light, np.random.default_rng(0))
        return float(
            add_sensor_effects(grey, condition, np.random.default_rng(1))[90, 140:180].std()
        )

    assert noise("night") > 1.5 * noise("day") > 0.5


def test_noise_is_independent_in_pixels_and_colours(grey: np.ndarray) -> None:
    wide = np.tile(grey, (2, 2, 1))
    condition = conditions_of("clear", "day", np.random.default_rng(0))
    image = add_sensor_effects(wide, condition, np.random.default_rng(5)).astype(float)
    # Between neighbours there is no difference but noise.
    noise = np.diff(image, axis=0)
    beside = np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]

    # 1.3 grey levels, rounded to whole ones.
    assert noise.std(axis=(0, 1)) == pytest.approx(2**0.5 * (1.3**2 + 1 / 12) ** 0.5, rel=0.05)
    assert np.corrcoef(noise.reshape(-1, 3).T) == pytest.approx(np.eye(3), abs=0.03)
    assert beside == pytest.approx(0, abs=0.03)


def test_missing_opengl_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ValueError("libEGL.so not loaded")

    monkeypatch.setattr("moderngl.create_context", fail)

    with pytest.raises(InputError, match="apt-get install libegl1 libgl1-mesa-dri"):
        CameraRenderer(simple_world(CLEAR), 64, 36)


def test_the_sun_may_stand_overhead() -> None:
    overhead = Conditions("clear", "day", 0.0, np.pi / 2, np.inf)
    image, _ = clean(simple_world(overhead))

    assert image[150:160, :30].mean() > 60


def test_camera_of_another_size_is_refused() -> None:
    with (
        CameraRenderer(simple_world(CLEAR), 64, 36) as renderer,
        pytest.raises(InputError, match="320x180"),
    ):
        renderer.render_clean(CAMERA, OPTICAL, 0.0)


@pytest.mark.parametrize("size", [(1600, 32), (4096, 64), (16, 16), (16, 900)])
def test_it_rains_in_images_of_any_shape(size: tuple[int, int]) -> None:
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    rainy = conditions_of("rain", "day", np.random.default_rng(0))
    for seed in range(5):  # the drops on the lens are drawn, large ones too
        seen = add_sensor_effects(image, rainy, np.random.default_rng(seed))
        assert seen.shape == image.shape
