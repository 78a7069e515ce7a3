"""Make the demo's bag and truth anew: `make demo-data`.

Needs the extras `drive` and `bag`, and what `lircdepth drive` needs of the system. The result is
kept in the repository, so that `make demo` needs none of it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from lircdepth_core.dataset.bag import write_bag
from lircdepth_core.drive.drive_writer import DriveSettings, write_drive
from lircdepth_core.drive.exact_depth import read_depth
from lircdepth_core.inference.depth_png import write_depth_png

DATA = Path(__file__).parent / "data"
SETTINGS = DriveSettings(
    seed=5,
    duration=3.0,
    cameras=("CAM_FRONT",),
    radars=("RADAR_FRONT",),
    width=800,
    height=450,
    weather="clear",
    light="day",
)
SCENE = "scene-0001"
TRUTH_OF_EVERY = 3  # images; all would be half of the repository


def main() -> None:
    """Write demo/data: bag/, and truth/<stamp in microseconds>.png of some images."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    # Beside it, so that one rename puts it there once all is made.
    with tempfile.TemporaryDirectory(dir=DATA.parent, prefix=".making-") as folder:
        drive, made = Path(folder) / "drive", Path(folder) / "data"
        made.mkdir()
        write_drive(drive, SETTINGS)
        channels = [*SETTINGS.cameras, *SETTINGS.radars]
        print(write_bag(drive, made / "bag", SCENE, sensors=channels))
        (made / "truth").mkdir()
        images = sorted(drive.glob("s*/CAM_FRONT/*.jpg"), key=lambda path: path.name)
        for image in images[::TRUTH_OF_EVERY]:
            depth = read_depth(drive, str(image.relative_to(drive)))
            stamp = image.stem.rsplit("_", 1)[1]
            write_depth_png(
                made / "truth" / f"{stamp}.png", np.where(np.isfinite(depth), depth, np.nan)
            )
        shutil.rmtree(DATA, ignore_errors=True)
        made.rename(DATA)


if __name__ == "__main__":
    main()
