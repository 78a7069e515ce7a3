"""A trained model is told to see the rows that its training had, and the horizon where it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from evaluation_rig import make_sample, write_shard

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.errors import InputError
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import Crop, NetworkInput
from lircdepth_core.training.taught_rows import MAX_SHARDS, taught_rows

FRONT = (1600, 900, 1266.417, 491.507)
"""Width, height, focal length and cy; nuScenes' CAM_FRONT, and as its CAM_BACK is."""
BACK = (1600, 900, 809.2, 481.1)


def camera_of(width: int, height: int, focal_length: float, cy: float) -> Camera:
    K = np.array([[focal_length, 0, width / 2], [0, focal_length, cy], [0, 0, 1]])
    return Camera(K, width, height)


def write(folder: Path, cameras: Sequence[tuple[int, int, float, float]]) -> Path:
    """A shard of each camera."""
    folder.mkdir(exist_ok=True)
    for number, values in enumerate(cameras):
        camera = camera_of(*values)
        size = (camera.height, camera.width)
        sample = make_sample(
            number,
            camera=camera,
            image=np.zeros((*size, 3), np.uint8),
            single_scan=np.zeros(size, np.float32),
            exact=None,
        )
        write_shard(folder / f"{number:03d}.tar", {"first": sample})
    return folder / "*.tar"


@pytest.mark.parametrize(
    ("spec", "crop"),
    [
        (InputSpec(352, 704, 1266.417), Crop(None, 896, 489.51)),  # the published crops
        (InputSpec(384, 704, 557.0), Crop(None, 384, 209.98)),  # 396 rows
        (InputSpec(192, 352, 278.5), Crop(None, 192, 104.74)),  # 198
        (InputSpec(64, 64), Crop(None, 896, 489.51)),  # not scaled
    ],
)
def test_the_rows_are_whole_multiples_of_32_of_the_middle_of_the_image(tmp_path, spec, crop):
    assert taught_rows(write(tmp_path, [FRONT]), spec) == crop


def test_with_them_the_network_is_shown_no_padding_below_the_image(tmp_path):
    crop = taught_rows(write(tmp_path, [FRONT]), InputSpec(384, 704, 557.0))
    framing = frame(camera_of(*FRONT), NetworkInput(557.0, "area", crop), 10**6)
    assert framing.seen.height == framing.network_size[1] == 384
    assert framing.top == 6


def test_of_several_cameras_the_lowest_image_gives_the_rows(tmp_path):
    crop = taught_rows(write(tmp_path, [BACK, FRONT]), InputSpec(384, 704, 557.0))
    # The other one has 620 rows, of which the 384 of the middle are seen.
    of_back = (481.1 + 0.5) * 620 / 900 - 0.5 - (620 - 384) / 2
    assert crop == Crop(None, 384, pytest.approx((of_back + 209.98) / 2, abs=0.01))


def test_of_many_shards_some_are_looked_at(tmp_path):
    cameras = [(64, 64 + 32 * (number % 2), 100.0, 32.0) for number in range(MAX_SHARDS + 6)]
    source = write(tmp_path, cameras)
    (tmp_path / "006.tar").write_bytes(b"one that is passed over")
    assert taught_rows(source, InputSpec(32, 64)).height == 64


def test_images_without_their_principal_point_are_cropped_by_rows(tmp_path):
    camera = (640, 200, 500.0, -40.0)
    assert taught_rows(write(tmp_path, [camera]), InputSpec(64, 64)) == Crop(4, 192)


def test_what_cannot_be_read_is_named(tmp_path):
    source = write(tmp_path, [FRONT])
    (tmp_path / "000.tar").write_bytes(b"no tar file")
    with pytest.raises(InputError, match=r"000\.tar"):
        taught_rows(source, InputSpec(64, 64))
    write_shard(tmp_path / "000.tar", {})
    with pytest.raises(InputError, match=r"000\.tar: no samples"):
        taught_rows(source, InputSpec(64, 64))
