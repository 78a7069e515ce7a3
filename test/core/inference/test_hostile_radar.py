"""Whatever a radar claims, an image is answered with numbers where the network saw it."""

import numpy as np
import pytest
from described_model import describe_model
from hypothesis import given, settings
from hypothesis import strategies as st
from small_network import SmallNetwork

from lircdepth_core.camera import Camera
from lircdepth_core.inference import Calibration, Predictor
from lircdepth_core.inference.model_description import Crop, NetworkInput
from lircdepth_core.radar import MAX_MAGNITUDE, RadarReturns

WIDTH, HEIGHT, FOCAL = 96, 80, 200.0
CROP = Crop(10, 50)
CAMERA = Camera(np.array([[FOCAL, 0, 47.5], [0, FOCAL, 39.5], [0, 0, 1]]), WIDTH, HEIGHT)
LARGEST = float(np.finfo(np.float32).max)

values = st.sampled_from(
    [0.0, 1e-45, 1e-30, 5.0, MAX_MAGNITUDE, 65_505.0, 1e20, LARGEST, np.inf, np.nan]
)
signed = st.builds(lambda value, sign: sign * value, values, st.sampled_from([-1, 1]))
depths = st.sampled_from([-1.0, 0.0, 1e-300, 1.0, 1.0 + 1e-12, 1e39, 1e300]) | values
returns = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), depths, signed, signed, signed)


@pytest.fixture(scope="module")
def predictor():
    model = describe_model(
        input=NetworkInput(FOCAL, "area", CROP),
        calibration=Calibration([0.683], [0, 100], [0, 1], [[[0, 10], [1, 50]]]),
    )
    return Predictor(model, SmallNetwork(), "cpu", "torch")


@settings(max_examples=60)
@given(cloud=st.lists(returns, max_size=12), level=st.sampled_from([0, 100, 255]))
def test_depth_and_sigma_are_numbers_of_zero_or_more_where_the_network_saw(cloud, level, predictor):
    x, y, z, rcs, vx, vy = np.array(cloud, np.float64).reshape(-1, 6).T
    with np.errstate(invalid="ignore"):
        radar = RadarReturns(np.stack([x * z, y * z, z], 1), rcs, np.stack([vx, vy], 1))
    image = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    prediction = predictor(image, CAMERA, radar)
    seen = np.zeros((HEIGHT, WIDTH), bool)
    seen[CROP.top : CROP.top + CROP.height] = True
    for values_ in (prediction.depth, prediction.sigma):
        np.testing.assert_array_equal(np.isnan(values_), ~seen)
        assert np.isfinite(values_[seen]).all()
        assert (values_[seen] >= 0).all()


@pytest.mark.parametrize("field", ["depth", "rcs", "vx", "vy"])
def test_a_return_that_no_radar_gives_is_not_drawn(field):
    usual = {"depth": 20.0, "rcs": 5.0, "vx": -3.0, "vy": 0.1}

    def visible(**changed):
        value = {**usual, **changed}
        position = [[0.01 * value["depth"], 0, value["depth"]]]
        radar = RadarReturns(position, [value["rcs"]], [[value["vx"], value["vy"]]])
        return len(radar.visible_in(CAMERA))

    assert visible(**{field: MAX_MAGNITUDE}) == 1
    assert visible(**{field: 1.01 * MAX_MAGNITUDE}) == 0
    assert visible(**{field: LARGEST}) == 0
