from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lircdepth_core.camera import FOCAL_LENGTHS, MAX_SIDE, Camera
from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.inference.backends.recent import KEPT_SIZES
from lircdepth_core.inference.calibration import BlindCalibration, Calibration
from lircdepth_core.inference.cpu_fallback import is_device_failure
from lircdepth_core.inference.device import choose_device
from lircdepth_core.inference.framing import _largest_ratio, frame
from lircdepth_core.inference.model_description import MAX_FOCAL_LENGTH, Crop, NetworkInput
from lircdepth_core.inference.predictor import Predictor
from lircdepth_core.network.inputs import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.radar import RadarReturns

SQUARE = 4.0  # metres, side of the white square on the black plane
CPU = "cpu"


def brightness(image: torch.Tensor) -> torch.Tensor:
    """A network's normalised image as grey in 0..1."""
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    return (image * std.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1)).mean(1, keepdim=True)


def plane(camera: Camera, depth: float) -> np.ndarray:
    """A black plane with a white square in front of the camera, its edges antialiased."""

    def covered(size: int, focal: float, centre: float) -> np.ndarray:
        half = focal * SQUARE / depth / 2
        pixel = np.arange(size)
        return np.clip(
            np.minimum(pixel + 0.5, centre + half) - np.maximum(pixel - 0.5, centre - half), 0, 1
        )

    columns = covered(camera.width, camera.K[0, 0], camera.K[0, 2])
    rows = covered(camera.height, camera.K[1, 1], camera.K[1, 2])
    grey = np.rint(255 * rows[:, None] * columns).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.fixture
def size_network(stand_in):
    """Judges depth by the square's apparent size at a focal length of 200 px, and by radar.

    It answers with the mean of both, so a wrong scale of either shows.
    """

    def answer(image, radar):
        side = brightness(image).sum((2, 3), keepdim=True).clamp(min=1).sqrt()
        by_size = 200.0 * SQUARE / side
        by_radar = radar[:, :1].amax((2, 3), keepdim=True)
        depth = (by_size + by_radar) / 2
        everywhere = torch.ones_like(image[:, :1])
        return depth * everywhere, 0.5 * everywhere

    return stand_in(answer)


@pytest.mark.parametrize("max_pixels", [1_000_000, 20_000])
@pytest.mark.parametrize(
    ("width", "height", "fx", "fy"),
    [(1600, 900, 1266.4, 1266.4), (640, 480, 310.0, 325.0), (400, 300, 120.0, 120.0)],
)
def test_a_plane_comes_back_at_its_depth_at_the_cameras_size(
    width, height, fx, fy, max_pixels, make_camera, make_model, size_network
):
    camera = make_camera(width, height, fx, fy, cx=width * 0.55, cy=height * 0.45)
    predictor = Predictor(make_model(), size_network, CPU, max_network_pixels=max_pixels)
    radar = RadarReturns([[0.5, 0.2, 12.5]], [5.0], [[-3.0, 0.1]])
    prediction = predictor(plane(camera, 12.5), camera, radar)
    assert prediction.depth.shape == (height, width)
    assert prediction.depth.dtype == np.float32
    np.testing.assert_allclose(prediction.depth, 12.5, rtol=0.005)
    rows, columns = size_network.image.shape[2:]
    assert rows % 32 == columns % 32 == 0
    assert rows * columns <= max_pixels
    reduced = any("max_network_pixels" in note for note in prediction.notes)
    assert reduced == (max_pixels == 20_000)


def test_depth_stays_on_its_pixel(make_camera, make_model, stand_in):
    """The network answers with its own column and row; the camera must read its own back."""
    camera = make_camera(500, 300, 500.0, 250.0)

    def answer(image, radar):
        row, column = torch.meshgrid(*(torch.arange(n) for n in image.shape[2:]), indexing="ij")
        return (row * 1000.0 + column)[None, None].float(), image[:, :1]

    prediction = Predictor(make_model(), stand_in(answer), CPU)(
        np.zeros((300, 500, 3), np.uint8), camera, None
    )
    # Shrunk to 200 x 240: u' = (u + 0.5) * 0.4 - 0.5, v' = (v + 0.5) * 0.8 - 0.5.
    np.testing.assert_allclose(prediction.depth[100, 250], 79.9 * 1000 + 99.7, rtol=1e-6)
    np.testing.assert_allclose(prediction.depth[299, 499], 239 * 1000 + 199, rtol=1e-6)


def test_padding_repeats_the_edge_and_holds_no_radar(make_camera, make_model, constant_network):
    camera = make_camera(100, 70, 200.0)
    image = np.random.default_rng(1).integers(0, 255, (70, 100, 3), np.uint8)
    network = constant_network()
    corner = (camera.width - 1.5, camera.height - 1.5)
    ray = [(corner[0] - camera.K[0, 2]) / 200, (corner[1] - camera.K[1, 2]) / 200, 1.0]
    returns = RadarReturns([np.multiply(ray, 30)], [0], [[0, 0]])
    Predictor(make_model(), network, CPU)(image, camera, returns)
    assert network.image.shape == (1, 3, 96, 128)
    seen = brightness(network.image)[0, 0]
    np.testing.assert_allclose(seen[:70, :100], image.mean(2) / 255, atol=1e-5)
    torch.testing.assert_close(seen[70:, :100], seen[69:70, :100].expand(26, 100))
    torch.testing.assert_close(seen[:, 100:], seen[:, 99:100].expand(96, 28))
    assert np.argwhere(network.radar[0, 0].numpy()).tolist() == [[68, 98]]


def test_cropped_rows_come_back_without_depth(make_camera, make_model, constant_network):
    camera = make_camera(128, 80, 400.0)  # the network sees 64 x 40, rows 4 to 35 of it
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 32)))
    network = constant_network(20.0)
    prediction = Predictor(model, network, CPU)(np.zeros((80, 128, 3), np.uint8), camera, None)
    assert network.image.shape == (1, 3, 32, 64)
    assert np.isnan(prediction.depth[:8]).all()
    assert np.isnan(prediction.depth[72:]).all()
    np.testing.assert_array_equal(prediction.depth[8:72], 20)
    np.testing.assert_array_equal(
        np.isnan(prediction.expected_uncertainty[:, 0]), [True] * 8 + [False] * 64 + [True] * 8
    )


def test_returns_beside_the_crop_do_not_reach_the_network(
    make_camera, make_model, constant_network
):
    camera = make_camera(64, 70, 200.0)
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 50)))  # padded to 64 rows
    rows = np.array([3.9, 4.1, 53.9, 54.1])
    position = np.stack([0 * rows, (rows - camera.K[1, 2]) / 20, 0 * rows + 10], axis=1)
    network = constant_network()
    prediction = Predictor(model, network, CPU)(
        np.zeros((70, 64, 3), np.uint8), camera, RadarReturns(position, rows, np.zeros((4, 2)))
    )
    assert network.radar.shape == (1, 4, 64, 64)
    assert np.flatnonzero(network.radar[0, 0].any(1).numpy()).tolist() == [0, 49]
    assert prediction.radar_points == 4


@pytest.mark.parametrize(("rows", "told"), [(40, True), (52, False), (80, False)])
def test_an_image_lower_than_the_models_crop_is_answered_with_a_note(
    rows, told, make_camera, make_model, constant_network
):
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 48)))
    prediction = Predictor(model, constant_network(), CPU)(
        np.zeros((rows, 64, 3), np.uint8), make_camera(64, rows, 200.0), None
    )
    note = f"the image gives {rows - 4} of the 48 rows that the model was taught with; it measures"
    assert any(note in each for each in prediction.notes) == told


def test_maps_at_the_networks_size_belong_to_the_part_it_saw(
    make_camera, make_model, constant_network
):
    camera = make_camera(128, 80, 400.0)  # the network sees 64 x 40, rows 4 to 35 of it
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 32)))
    predictor = Predictor(model, constant_network(20.0), CPU, at_network_size=True)
    prediction = predictor(np.zeros((80, 128, 3), np.uint8), camera, None)
    for values in (prediction.depth, prediction.sigma, prediction.expected_uncertainty):
        assert values.shape == (32, 64)
    np.testing.assert_array_equal(prediction.depth, 20)
    assert prediction.camera == predictor.output_camera(camera)
    assert (prediction.camera.width, prediction.camera.height) == (64, 32)
    # A point 10 m ahead at the camera's row 44 lies at row 21.75 of the whole small image.
    v = prediction.camera.K[1, 1] * (44 - camera.K[1, 2]) / 400 + prediction.camera.K[1, 2]
    assert v == pytest.approx((44 + 0.5) / 2 - 0.5 - 4)


@pytest.mark.parametrize("at_network_size", [False, True])
def test_maps_are_written_where_the_caller_wants_them(
    at_network_size, make_camera, make_model, constant_network
):
    camera = make_camera(128, 80, 400.0)
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 32)))
    predictor = Predictor(
        model, constant_network(20.0), CPU, at_network_size=at_network_size, max_sigma=None
    )
    image = np.zeros((80, 128, 3), np.uint8)
    expected = predictor(image, camera, None)
    out = tuple(np.full(expected.depth.shape, -1, np.float32) for _ in range(2))
    prediction = predictor(image, camera, None, out)
    assert np.shares_memory(prediction.depth, out[0])
    assert np.shares_memory(prediction.sigma, out[1])
    np.testing.assert_array_equal(out[0], expected.depth)
    np.testing.assert_array_equal(out[1], expected.sigma)
    for wrong in (np.empty((3, 3), np.float32), np.empty(expected.depth.shape)):
        with pytest.raises(InputError, match="out: "):
            predictor(image, camera, None, (out[0], wrong))


@pytest.mark.parametrize(
    ("rows", "cy", "first", "last"),
    [
        (100, 49.5, 20, 83),  # row 24.5 of the small image is to be the crop's row 14.5
        (300, 199.5, 170, 233),  # a taller view: the horizon stays where it was taught
        (100, 9.5, 0, 63),  # a camera that looks down, as far as the image goes
        (100, 89.5, 36, 99),
        (50, 24.5, 0, 49),  # fewer rows than the crop has
    ],
)
def test_a_crop_may_follow_the_principal_point(
    rows, cy, first, last, make_camera, make_model, constant_network
):
    K = np.array([[400.0, 0, 63.5], [0, 400, cy], [0, 0, 1]])
    camera = Camera(K, 128, rows)  # the network sees it at half the size
    model = make_model(input=NetworkInput(200.0, "area", Crop(None, 32, 14.5)))
    prediction = Predictor(model, constant_network(20.0), CPU)(
        np.zeros((rows, 128, 3), np.uint8), camera, None
    )
    seen = np.flatnonzero(np.isfinite(prediction.depth[:, 0]))
    assert (seen[0], seen[-1], len(seen)) == (first, last, last - first + 1)


@pytest.mark.parametrize(("rows", "told"), [(66, False), (90, True)])
def test_rows_that_the_crop_leaves_out_are_told(
    rows, told, make_camera, make_model, constant_network
):
    model = make_model(input=NetworkInput(200.0, "area", Crop(4, 60)))
    prediction = Predictor(model, constant_network(), CPU)(
        np.zeros((rows, 64, 3), np.uint8), make_camera(64, rows, 200.0), None
    )
    note = "leaves out 33% of the image's rows, 4 above and 26 below of 90 at its focal length"
    assert any(note in each for each in prediction.notes) == told
    assert any("leaves out" in each for each in prediction.notes) == told


def test_a_crop_below_the_image_is_refused(make_camera, make_model, constant_network):
    model = make_model(input=NetworkInput(200.0, "area", Crop(100, 32)))
    predictor = Predictor(model, constant_network(), CPU)
    with pytest.raises(InputError, match=r"input\.crop\.top"):
        predictor(np.zeros((80, 64, 3), np.uint8), make_camera(64, 80, 200.0), None)


@pytest.mark.parametrize("max_pixels", [1_000_000, 20_000])
@pytest.mark.parametrize(
    "crop",
    [
        None,
        Crop(3, 192),
        Crop(383, 192),
        Crop(384, 192),
        Crop(700, 200),
        Crop(100_000, 192),
        Crop(None, 192, 100.0),
    ],
)
def test_a_model_is_warmed_up_wherever_its_crop_lies(
    crop, max_pixels, make_model, constant_network
):
    network = constant_network()
    model = make_model(input=NetworkInput(200.0, "area", crop))
    predictor = Predictor(model, network, CPU, max_network_pixels=max_pixels)
    predictor.warm_up(704, 384)
    if crop == Crop(100_000, 192):  # an image of one or two columns is nothing to warm up for
        assert not hasattr(network, "image")
        return
    assert network.image.shape[2] * network.image.shape[3] <= max_pixels
    if crop in (None, Crop(3, 192)) and max_pixels == 1_000_000:
        assert network.image.shape[2:] == (192 if crop else 384, 704)


@pytest.mark.parametrize("crop", [None, Crop(3, 192), Crop(None, 192, 104.74)])
def test_a_model_is_warmed_up_for_nuscenes_front_camera(crop, make_model, constant_network):
    model = make_model(input=NetworkInput(278.5, "area", crop))
    predictor = Predictor(model, constant_network(), CPU)
    K = np.array([[1266.417, 0, 816.27], [0, 1266.417, 491.51], [0, 0, 1]])
    camera = Camera(K, 1600, 900)
    assert not predictor.is_ready_for(camera)
    predictor.warm_up()
    assert predictor.is_ready_for(camera)


@pytest.mark.parametrize("focal_length", [1.0, MAX_FOCAL_LENGTH])
def test_no_focal_length_makes_the_warm_up_large(focal_length, make_model, constant_network):
    network = constant_network()
    model = make_model(input=NetworkInput(focal_length, "area", Crop(None, 192, 104.74)))
    predictor = Predictor(model, network, CPU, max_network_pixels=20_000)
    predictor.warm_up()
    assert network.image.shape[2] * network.image.shape[3] <= 20_000


def test_a_focal_length_that_is_new_to_the_network_may_take_long(
    make_camera, make_model, constant_network
):
    predictor = Predictor(make_model(), constant_network(), CPU)
    image = np.zeros((96, 128, 3), np.uint8)
    cameras = [make_camera(128, 96, 200.0 / factor) for factor in range(1, KEPT_SIZES + 2)]
    assert not predictor.is_ready_for(cameras[0])
    predictor(image, cameras[0], None)
    assert predictor.is_ready_for(cameras[0])
    assert predictor.is_ready_for(make_camera(125, 94, 200.0)), "padded to the same size"
    assert not predictor.is_ready_for(cameras[1])
    for camera in cameras[1:]:
        predictor(image, camera, None)
    assert [predictor.is_ready_for(camera) for camera in cameras] == [False] + [True] * KEPT_SIZES


NO_DEPTHS = [np.nan, np.inf, -np.inf, -0.5]


@pytest.mark.parametrize("value", NO_DEPTHS)
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_network_that_does_not_answer_with_numbers_has_failed(
    value, everywhere, make_camera, make_model, stand_in
):
    def answer(image, radar):
        depth = torch.full_like(image[:, :1], 20.0)
        depth[:, :, 69 if not everywhere else slice(None), 5] = value
        return depth, torch.full_like(depth, 0.5)

    predictor = Predictor(make_model(), stand_in(answer), CPU)
    out = tuple(np.full((70, 100), 7, np.float32) for _ in range(2))
    count = 70 if everywhere else 1
    words = rf"not finite at {count} of 7000 pixels, on cpu with torch; give another device, or"
    with pytest.raises(NonFiniteError, match=words) as raised:
        predictor(np.zeros((70, 100, 3), np.uint8), make_camera(100, 70, 200.0), None, out)
    assert not is_device_failure(raised.value), "one such image is no lost device"
    assert all((map_ == 7).all() for map_ in out)


@pytest.mark.parametrize("value", NO_DEPTHS)
def test_what_a_network_answers_in_the_padding_is_nobodys(value, make_camera, make_model, stand_in):
    def answer(image, radar):
        depth = torch.full_like(image[:, :1], 20.0)
        depth[:, :, 70:], depth[..., 100:] = value, value
        return depth, torch.full_like(depth, 0.5)

    predictor = Predictor(make_model(), stand_in(answer), CPU)
    prediction = predictor(np.zeros((70, 100, 3), np.uint8), make_camera(100, 70, 200.0), None)
    np.testing.assert_array_equal(prediction.depth, 20)


@pytest.mark.parametrize("value", NO_DEPTHS)
def test_a_calibrated_model_needs_an_uncertainty_in_numbers(
    value, make_camera, make_model, constant_network
):
    camera, image = make_camera(64, 32, 200.0), np.zeros((32, 64, 3), np.uint8)
    network = constant_network(uncertainty=value)
    with pytest.raises(
        NonFiniteError, match="uncertainty is negative or not finite at 2048 of 2048 pixels"
    ):
        Predictor(make_model(calibration=CALIBRATION), network, CPU)(image, camera, None)
    without = Predictor(make_model(), network, CPU)(image, camera, None)
    assert np.isnan(without.sigma).all()
    np.testing.assert_array_equal(without.depth, 20)


@pytest.mark.parametrize("radar", [None, RadarReturns.empty()])
def test_without_radar_it_goes_on_and_says_so(radar, make_camera, make_model, constant_network):
    network = constant_network(20.0)
    prediction = Predictor(make_model(), network, CPU)(
        np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 200.0), radar
    )
    assert prediction.radar_points == 0
    assert not network.radar.any()
    assert (prediction.depth == 20).all()
    assert any("no radar" in note for note in prediction.notes)


CALIBRATION = Calibration(
    shares=[0.5, 0.683, 0.95],
    depth=[10, 30],
    uncertainty=[0.2, 0.6],
    half_width=[[[0.5, 1], [1, 2]], [[1, 2], [3, 6]], [[2, 4], [6, 12]]],
)


def test_sigma_and_intervals_come_from_the_calibration(make_camera, make_model, constant_network):
    model = make_model(calibration=CALIBRATION)
    camera = make_camera(64, 64, 200.0)
    image = np.zeros((64, 64, 3), np.uint8)
    # Depth 15 is a quarter of the way, uncertainty 0.5 three quarters.
    # sigma: 0.75 * (0.25 * 1 + 0.75 * 2) + 0.25 * (0.25 * 3 + 0.75 * 6) = 2.625
    prediction = Predictor(model, constant_network(15.0, 0.5), CPU)(image, camera, None)
    np.testing.assert_allclose(prediction.sigma, 2.625, rtol=1e-6)
    np.testing.assert_allclose(prediction.interval(0.683), prediction.sigma)
    np.testing.assert_allclose(prediction.interval(0.95), 5.25, rtol=1e-6)
    with pytest.raises(InputError, match=r"holds 0\.5 to 0\.95"):
        prediction.interval(0.99)
    with pytest.raises(InputError, match="between 0 and 1"):
        prediction.interval(1.0)


def test_an_image_that_shows_nothing_has_the_sigma_of_such_images(
    make_camera, make_model, constant_network
):
    wider = dataclasses.replace(CALIBRATION, half_width=4 * CALIBRATION.half_width)
    model = make_model(calibration=CALIBRATION, blind_calibration=BlindCalibration(0.4, wider))
    predictor = Predictor(model, constant_network(15.0, 0.5), CPU)
    camera = make_camera(64, 64, 200.0)
    shows = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    seen, black = predictor(shows, camera, None), predictor(np.zeros_like(shows), camera, None)
    assert (seen.structure, black.structure) == (1, 0)
    np.testing.assert_allclose(seen.sigma, 2.625, rtol=1e-6)
    np.testing.assert_allclose(black.sigma, 4 * 2.625, rtol=1e-6)
    np.testing.assert_allclose(black.interval(0.95), 4 * 5.25, rtol=1e-6)
    assert not any("next to nothing" in note for note in seen.notes)
    assert any("shows next to nothing" in note for note in black.notes)
    assert seen.doubts == ()
    assert len(black.doubts) == 1


def test_a_reduced_focal_length_scales_sigma_like_depth(make_camera, make_model, constant_network):
    camera = make_camera(200, 200, 200.0)
    predictor = Predictor(
        make_model(calibration=CALIBRATION),
        constant_network(15.0, 0.5),
        CPU,
        max_network_pixels=96 * 96,  # 200 px would need 224 x 224
    )
    prediction = predictor(np.zeros((200, 200, 3), np.uint8), camera, None)
    ratio = prediction.depth[0, 0] / 15.0
    assert 0.47 < ratio < 0.4826  # 96.5 / 200: more would round to 97 columns, 128 padded
    np.testing.assert_allclose(prediction.sigma, 2.625 * ratio, rtol=1e-5)


def test_max_sigma_takes_out_what_is_too_uncertain(make_camera, make_model, stand_in):
    def answer(image, radar):
        uncertainty = torch.full_like(image[:, :1], 0.2)
        uncertainty[..., 32:] = 0.6
        return torch.full_like(uncertainty, 10.0), uncertainty

    predictor = Predictor(make_model(calibration=CALIBRATION), stand_in(answer), CPU, max_sigma=1.5)
    prediction = predictor(np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 200.0), None)
    np.testing.assert_array_equal(prediction.depth[:, :32], 10)
    assert np.isnan(prediction.depth[:, 32:]).all()
    assert np.isnan(prediction.sigma[:, 32:]).all()
    assert np.isnan(prediction.interval(0.95)[:, 32:]).all()
    np.testing.assert_allclose(prediction.expected_uncertainty[:, 32:], 0.6)


def test_without_calibration_sigma_is_nan_and_that_is_said(
    make_camera, make_model, constant_network
):
    predictor = Predictor(make_model(), constant_network(20.0, 0.3), CPU)
    prediction = predictor(np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 200.0), None)
    assert np.isnan(prediction.sigma).all()
    assert np.isnan(prediction.interval(0.95)).all()
    assert (prediction.depth == 20).all()
    np.testing.assert_allclose(prediction.expected_uncertainty, 0.3)
    assert any("sigma is NaN" in note for note in prediction.notes)
    assert "not calibrated" in predictor.description


def test_a_largest_sigma_that_nothing_could_be_measured_by_is_refused(make_model, constant_network):
    with pytest.raises(InputError, match="max_sigma: stand-in is not calibrated"):
        Predictor(make_model(), constant_network(20.0, 0.3), CPU, max_sigma=2.0)


def test_a_teacher_gives_depth_without_uncertainty(make_camera, make_model, stand_in):
    network = stand_in(lambda image, radar: (torch.full_like(image[:, :1], 20.0), None))
    prediction = Predictor(make_model(network="teacher"), network, CPU)(
        np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 200.0), None
    )
    assert (prediction.depth == 20).all()
    assert np.isnan(prediction.expected_uncertainty).all()


@given(
    focal=st.tuples(*[st.sampled_from(FOCAL_LENGTHS) | st.floats(*FOCAL_LENGTHS)] * 2),
    centre=st.tuples(*[st.floats(-1e9, 1e9)] * 2),
    size=st.tuples(*[st.sampled_from((1, MAX_SIDE)) | st.integers(1, MAX_SIDE)] * 2),
    of_model=st.floats(1, MAX_FOCAL_LENGTH),
)
def test_no_camera_overflows_the_network_s_bounds(focal, centre, size, of_model):
    camera = Camera([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]], *size)
    try:
        columns, rows = frame(camera, NetworkInput(of_model, "area"), 1_000_000).network_size
    except InputError:  # its focal length is none at that scale
        return
    assert 0 < columns * rows <= 1_000_000


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    fx=st.floats(1, 20_000),
    fy=st.floats(1, 20_000),
    max_pixels=st.integers(1024, 200_000),
)
def test_any_camera_fits_the_network_s_bounds_and_comes_back(width, height, fx, fy, max_pixels):
    camera = Camera(np.array([[fx, 0, width / 2], [0, fy, height / 2], [0, 0, 1]]), width, height)
    try:
        framing = frame(camera, NetworkInput(557.0, "area"), max_pixels)
    except InputError:  # see the next test
        ratio = _largest_ratio(camera, 557.0, max_pixels)
        assert min(width / fx, height / fy) * 557 * ratio < 10.6
        return
    columns, rows = framing.network_size
    assert columns % 32 == rows % 32 == 0
    assert columns * rows <= max_pixels
    assert 0 < framing.ratio <= 1
    assert framing.scaled.width == pytest.approx(width * 557 / fx * framing.ratio, abs=1)
    assert framing.scaled.height == pytest.approx(height * 557 / fy * framing.ratio, abs=1)
    if width * height < 1_000_000:
        restored = framing.restore(np.full((rows, columns), 7, np.float32))
        assert restored.shape == (height, width)
        np.testing.assert_allclose(restored, 7, rtol=1e-6)


@pytest.mark.parametrize("focal", [(1e5, 1e5), (200.0, 1e5)])
def test_a_focal_length_that_whole_pixels_cannot_make_is_refused(
    focal, make_model, constant_network
):
    camera = Camera([[focal[0], 0, 800], [0, focal[1], 450], [0, 0, 1]], 1600, 900)
    with pytest.raises(InputError, match="at the network's, 200 px; depth would be wrong"):
        Predictor(make_model(), constant_network(20.0))(
            np.zeros((900, 1600, 3), np.uint8), camera, None
        )


def test_a_wide_angle_camera_is_enlarged_and_that_is_said(
    make_camera, make_model, constant_network
):
    network = constant_network()
    prediction = Predictor(make_model(), network, CPU)(
        np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 50.0), None
    )
    assert network.image.shape == (1, 3, 256, 256)
    assert any("enlarged 4.0 times" in note for note in prediction.notes)


def test_an_untrained_model_says_so(make_camera, make_model, constant_network):
    predictor = Predictor(make_model(trained=False), constant_network(), CPU)
    prediction = predictor(np.zeros((64, 64, 3), np.uint8), make_camera(64, 64, 200.0), None)
    assert "UNTRAINED" in predictor.description
    assert any("UNTRAINED" in note for note in prediction.notes)


@pytest.mark.parametrize(
    "image", [np.zeros((64, 60, 3), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3))]
)
def test_an_image_of_another_size_or_type_is_refused(
    image, make_camera, make_model, constant_network
):
    predictor = Predictor(make_model(), constant_network(), CPU)
    with pytest.raises(InputError, match=r"image: .*\(64, 64, 3\)"):
        predictor(image, make_camera(64, 64, 200.0), None)


@pytest.mark.parametrize(
    "argument",
    [{"max_network_pixels": 1000}, {"max_sigma": 0.0}, {"backend": "onnx"}, {"device": "tpu"}],
)
def test_arguments_out_of_range_are_refused(argument, make_model, constant_network):
    with pytest.raises(InputError, match=next(iter(argument))):
        Predictor(make_model(), constant_network(), **argument)


@pytest.mark.parametrize(
    ("request_", "available", "device"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0")]
    + [("cuda:1", 2, "cuda:1")],
)
def test_the_device_is_chosen_by_request_and_by_what_there_is(request_, available, device):
    assert choose_device(request_, available) == device


@pytest.mark.parametrize("request_", ["cuda", "cuda:1", "gpu", "cuda:-1", ""])
def test_a_device_that_is_not_there_is_refused(request_):
    with pytest.raises(InputError, match="device"):
        choose_device(request_, 0)
