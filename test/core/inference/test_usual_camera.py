"""What a model is warmed up and its back ends are tried with."""

from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.camera import Camera
from lircdepth_core.inference import MAX_NETWORK_PIXELS
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import Crop, NetworkInput
from lircdepth_core.inference.usual_camera import trial_size, usual_camera


@pytest.mark.parametrize(
    ("focal_length", "crop", "size"),
    [
        (278.5, Crop(None, 192, 104.74), (352, 192)),
        (557.2, Crop(None, 384, 209.5), (704, 384)),
        (557.2, None, (704, 416)),  # 396 rows, padded
        (278.5, Crop(100_000, 192), (704, 384)),  # no camera has such rows
        (1266.417, Crop(548, 352), (704, 160)),  # of 1600x352
    ],
)
def test_back_ends_are_tried_at_the_size_of_the_first_images(focal_length, crop, size):
    seen = NetworkInput(focal_length, "area", crop)
    assert trial_size(seen, MAX_NETWORK_PIXELS) == size
    if focal_length < 1000 and (crop is None or crop.top is None):
        camera = usual_camera(seen, MAX_NETWORK_PIXELS)
        assert frame(camera, seen, MAX_NETWORK_PIXELS).network_size == size


@pytest.mark.parametrize(("focal_length", "cy"), [(1266.417, 491.507), (1252.813, 469.985)])
def test_the_front_cameras_of_both_nuscenes_cities_are_seen_whole(focal_length, cy):
    K = np.array([[focal_length, 0, 800], [0, focal_length, cy], [0, 0, 1]])
    published = NetworkInput(1266.417, "area")
    assert frame(Camera(K, 1600, 900), published, MAX_NETWORK_PIXELS).ratio == 1


@pytest.mark.parametrize("crop", [None, Crop(0, 352), Crop(None, 352, 100.0)])
@pytest.mark.parametrize(("max_pixels", "least"), [(MAX_NETWORK_PIXELS, 100_000), (20_000, 5_000)])
def test_a_trial_is_small_though_the_model_sees_large_images(crop, max_pixels, least):
    width, height = trial_size(NetworkInput(1266.417, "area", crop), max_pixels)
    assert width % 32 == height % 32 == 0
    assert least < width * height <= min(max_pixels, 704 * 416)
