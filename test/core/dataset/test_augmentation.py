from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.augmentation import (
    InputSpec,
    augmented,
    centred,
    cropped,
    flipped,
    recoloured,
    scaled,
)
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import INTERPOLATIONS
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import NetworkInput
from lircdepth_core.radar import VisibleReturns

WIDTH, HEIGHT = 240, 150


@pytest.fixture
def sample() -> Sample:
    """Every pixel tells its own place: red its column, green its row, exact depth both."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((HEIGHT, WIDTH))
    exact = (1 + columns + 1000.0 * rows).astype(np.float32)
    single = np.where(rng.random(exact.shape) < 0.05, exact, 0).astype(np.float32)
    uv = rng.integers((2, 2), (WIDTH - 2, HEIGHT - 2), (60, 2)) + rng.uniform(-0.4, 0.4, (60, 2))
    pixel = np.rint(uv).astype(int)
    boxes = np.array([[20, 30, 90, 80], [100, 10, 230, 140]], np.float32)
    inside = (uv[:, None] > boxes[:, :2]) & (uv[:, None] < boxes[:, 2:])
    box = (inside.all(axis=2) * (1, 2)).max(axis=1)
    return Sample(
        key="scene/token/CAM",
        scene="scene",
        channel="CAM",
        stamp=1,
        image=np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8),
        camera=Camera(np.array([[200.0, 0, 118.3], [0, 210, 77.1], [0, 0, 1]]), WIDTH, HEIGHT),
        radar=np.column_stack(
            [uv, exact[pixel[:, 1], pixel[:, 0]], rng.normal(0, 5, (60, 3)), box]
        ).astype(np.float32),
        single_scan=single,
        accumulated=single.copy(),
        dense=exact.copy(),
        exact=exact,
        boxes=boxes,
    )


def place(sample: Sample) -> np.ndarray:
    """(M, 2) columns and rows that the image shows at the returns' pixels."""
    u, v = np.rint(sample.radar[:, :2]).astype(int).T
    return sample.image[v, u, :2]


def assert_same(one: Sample, other: Sample, atol: float = 0) -> None:
    assert one.camera.width == other.camera.width
    np.testing.assert_allclose(one.camera.K, other.camera.K)
    for name in ("image", "radar", "boxes", "single_scan", "accumulated", "dense", "exact"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=atol)


def test_flipping_twice_changes_nothing(sample):
    assert_same(flipped(flipped(sample)), sample, atol=1e-4)


def test_a_flip_moves_all_together(sample):
    mirror = flipped(sample)
    np.testing.assert_array_equal(place(mirror), place(sample))
    u, v = np.rint(mirror.radar[:, :2]).astype(int).T
    np.testing.assert_array_equal(mirror.exact[v, u], sample.radar[:, 2])
    np.testing.assert_array_equal(mirror.dense, mirror.exact)
    measured = mirror.single_scan > 0
    np.testing.assert_array_equal(mirror.single_scan[measured], mirror.exact[measured])
    before, after = sample.radar_returns(), mirror.radar_returns()
    np.testing.assert_allclose(after.position, before.position * (-1, 1, 1), rtol=1e-4, atol=0.05)
    np.testing.assert_array_equal(after.velocity, before.velocity * (1, -1))
    np.testing.assert_array_equal(mirror.boxes[0], [WIDTH - 1 - 90, 30, WIDTH - 1 - 20, 80])


def test_a_crop_moves_all_together(sample):
    part = cropped(sample, 70, 20, 96, 64)
    assert (part.camera.width, part.camera.height) == (96, 64)
    pixel = np.trunc(sample.radar[:, :2])
    kept = ((pixel >= (70, 20)) & (pixel < (166, 84))).all(axis=1)
    assert 5 < kept.sum() == len(part.radar)
    inner = (np.rint(part.radar[:, :2]) < (96, 64)).all(axis=1)
    np.testing.assert_array_equal(
        place(replace(part, radar=part.radar[inner])),
        place(replace(sample, radar=sample.radar[kept][inner])),
    )
    np.testing.assert_allclose(
        part.radar_returns().position,
        sample.radar_returns().position[kept],
        rtol=1e-4,
        atol=0.05,
    )
    np.testing.assert_array_equal(part.exact, sample.exact[20:84, 70:166])
    np.testing.assert_array_equal(part.boxes, [[0, 10, 20, 60], [30, 0, 95, 63]])


def test_returns_on_the_edge_of_a_crop_go_with_their_pixel(sample):
    """int() rounds towards zero: 9.9 is pixel 9, outside a crop that begins at column 10."""
    radar = np.zeros((4, 7), np.float32)
    radar[:, 0], radar[:, 1], radar[:, 2] = (9.9, 10.0, 41.9, 42.0), 20.0, 5.0
    part = cropped(replace(sample, radar=radar), 10, 0, 32, 32)
    np.testing.assert_allclose(part.radar[:, 0], [0.0, 31.9], rtol=1e-5)


def test_a_return_keeps_its_box_or_loses_it_with_it(sample):
    right = cropped(sample, 95, 0, 145, HEIGHT)
    assert len(right.boxes) == 1
    u = right.radar[:, 0]
    inside = (u > 5) & (right.radar[:, 1] > 10) & (right.radar[:, 1] < 140) & (u < 135)
    np.testing.assert_array_equal(right.radar[:, 6], inside)


@pytest.mark.parametrize("focal_length", [100.0, 63.7, 300.0])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_scaling_is_the_predictors(sample, focal_length, interpolation):
    spec = InputSpec(32, 32, focal_length, interpolation)
    ours = scaled(sample, spec)
    theirs = frame(sample.camera, NetworkInput(focal_length, interpolation), 10**7)
    assert ours.camera == theirs.scaled
    image = theirs.image(sample.image, interpolation)[: ours.camera.height, : ours.camera.width]
    np.testing.assert_array_equal(ours.image, image)

    def visible(sample: Sample) -> VisibleReturns:
        radar = sample.radar.astype(np.float64)
        every = np.ones(len(radar), bool)
        return VisibleReturns(radar[:, :2], radar[:, 2], radar[:, 3], radar[:, 4:6], every)

    drawn = visible(ours).rasterise(ours.camera, ours.camera)
    expected = theirs.radar(visible(sample))[:, : ours.camera.height, : ours.camera.width]
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_scaled_depth_stays_where_it_was_measured(sample):
    half = scaled(sample, InputSpec(32, 32, 100.0))
    scale = half.camera.width / WIDTH, half.camera.height / HEIGHT
    for row, column in np.argwhere(half.single_scan > 0)[::20]:
        value = half.single_scan[row, column] - 1
        source = np.array([value % 1000, value // 1000])
        moved = (source + 0.5) * scale - 0.5
        assert (np.abs(moved - (column, row)) <= 0.5 + 1e-6).all()
    rows, columns = np.indices(half.exact.shape)
    value = half.exact - 1
    assert np.abs((value % 1000 + 0.5) * scale[0] - 0.5 - columns).max() <= 0.5
    assert np.abs((value // 1000 + 0.5) * scale[1] - 0.5 - rows).max() <= 0.5


def test_of_two_measurements_on_a_smaller_pixel_the_nearest_wins(sample):
    single = np.zeros_like(sample.single_scan)
    single[50, 50], single[50, 51] = 9.0, 7.0
    half = scaled(replace(sample, single_scan=single), InputSpec(32, 32, 100.0))
    assert half.single_scan[half.single_scan > 0].tolist() == [7.0]


def test_augmentation_follows_from_the_generator_alone(sample):
    spec = InputSpec(64, 96)
    one, again, other = (augmented(sample, spec, np.random.default_rng(n)) for n in (5, 5, 6))
    assert_same(one, again)
    assert (one.image.shape, one.exact.shape) == ((64, 96, 3), (64, 96))
    assert not np.array_equal(one.exact, other.exact)


def test_half_are_flipped_and_crops_reach_every_edge(sample):
    corners, mirrored = [], 0
    for number in range(400):
        part = augmented(sample, InputSpec(128, 224), np.random.default_rng([9, number]))
        value = part.exact[0, :2] - 1
        mirror = value[0] > value[1]
        mirrored += mirror
        corners.append(
            (WIDTH - 1 - value[0] % 1000 if mirror else value[0] % 1000, value[0] // 1000)
        )
    assert 160 < mirrored < 240
    assert {left for left, _ in corners} == set(range(WIDTH - 224 + 1))
    assert {top for _, top in corners} == set(range(HEIGHT - 128 + 1))


def test_validation_takes_the_middle(sample):
    part = centred(sample, InputSpec(64, 96))
    np.testing.assert_array_equal(part.image, sample.image[43:107, 72:168])
    assert part.camera.K[0, 2] == pytest.approx(118.3 - 72)


@pytest.mark.parametrize(
    ("gamma", "gain", "expected"),
    [(1, (1, 1, 1), (100, 150, 200)), (1, (1.1, 1, 0.9), (110, 150, 180)),
     (1, (1, 1, 1.5), (100, 150, 255)), (2, (1, 1, 1), (39, 88, 157))],
)  # fmt: skip
def test_colours_by_hand(gamma, gain, expected):
    image = np.full((2, 2, 3), (100, 150, 200), np.uint8)
    assert recoloured(image, gamma, np.array(gain))[0, 0].tolist() == list(expected)


def test_a_crop_larger_than_the_sample_is_refused(sample):
    for change in (augmented, lambda sample, spec, _: centred(sample, spec)):
        with pytest.raises(InputError, match="smaller crop"):
            change(sample, InputSpec(160, 96), np.random.default_rng(0))


@pytest.mark.parametrize(
    "values",
    [{"height": 100}, {"width": 0}, {"focal_length": 0.0}, {"interpolation": "lanczos"}],
)
def test_what_no_network_takes_is_refused(values):
    with pytest.raises(InputError):
        InputSpec(**values)
