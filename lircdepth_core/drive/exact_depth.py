"""The exact depth of generated images: `depth/<CHANNEL>/<image's stem>.npz` beside the folders."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np


def depth_path(image: str) -> str:
    """Where an image's depth lies, for key frames and sweeps alike.

    Args:
        image: file name of the image, as in its sample_data row.

    Returns:
        The file name, relative to the data set's root too.
    """
    path = Path(image)
    return f"depth/{path.parent.name}/{path.stem}.npz"


def write_depth(path: Path, depth: np.ndarray) -> None:
    """Write a depth map.

    Args:
        path: of the file; its folder must be there.
        depth: (H, W) float32 metres along the optical axis at the pixels' centres, +Inf at the sky.
    """
    # As np.savez_compressed writes it, but at a level that takes a third of the time.
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(zipfile.ZipInfo("depth.npy"), "w") as file,
    ):
        np.lib.format.write_array(file, np.asarray(depth, dtype=np.float32))


def read_depth(dataroot: Path, image: str) -> np.ndarray:
    """The exact depth of an image.

    Args:
        dataroot: root of the data set.
        image: file name of the image, as in its sample_data row.

    Returns:
        (H, W) float32 metres along the optical axis at the pixels' centres, +Inf at the sky.
    """
    with np.load(dataroot / depth_path(image)) as file:
        return file["depth"]
