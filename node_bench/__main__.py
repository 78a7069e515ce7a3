"""`python -m node_bench`: run the node on raw and on JPEG images and compare it with the floor.

With --cameras, run a node for each camera instead, and tell how the work of several adds up.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import cv2

from lircdepth_core.inference import MAX_NETWORK_PIXELS
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_files import find_model, read_description
from lircdepth_core.text_table import Table
from lircdepth_ros.conversions import camera_from_message
from node_bench.cameras import measure_cameras, smooth_image
from node_bench.floor import Floor, floor_steps
from node_bench.rig import Rig
from node_bench.scaled_copy import scaled_copy
from soak.dds_settings import keep_to_ourselves
from soak.feed import HEIGHT, WIDTH, camera_info
from soak.node_process import start_node

BESIDES = ("wait", "prepare", "publish")
"""The stages besides inference; with it they are all of an image's way."""

WARM_UP = 5
"""Images more than are asked for: the node's medians, of its last 200, hold the slow first ones."""


def measure(model: str, compressed: bool, images: int, points: int, out: Path) -> dict[str, Any]:
    """The node's stages and the floor, milliseconds.

    Args:
        model: folder or name.
        compressed: whether images come as JPEG.
        images: how many.
        points: radar points before each.
        out: folder for the node's files.

    Returns:
        `floor`, each step's median; `node`, the stages' medians as it says; `besides_network`, the
        sum of those from an image's arrival to its answers, less inference; `ratio` of it to the
        floor.

    Raises:
        RuntimeError: the node does not start, answer or end.
    """
    image = smooth_image()
    jpeg = cv2.imencode(".jpg", image)[1].tobytes() if compressed else None
    kind = "compressed" if compressed else "raw"
    out.mkdir(parents=True, exist_ok=True)
    process = start_node(model, out, f"image_type:={kind}")
    try:
        with Rig(process, jpeg, image, points) as rig:
            rig.wait_for_node()
            with rig.floor_publishers(("/floor/depth", "/floor/sigma")) as publishers:
                floor = Floor(floor_steps(image, jpeg, network_size(model), publishers))
                for _ in range(WARM_UP + images):
                    rig.send()
                    floor.measure()
            stages = rig.stages()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
    # As the floor is summed. The median of all less that of inference holds inference's scatter.
    besides = sum(stages[name] for name in BESIDES)
    steps = floor.milliseconds(WARM_UP)
    least = sum(steps.values())
    return {"floor": steps, "node": stages, "besides_network": besides, "ratio": besides / least}


def network_size(model: str) -> tuple[int, int]:
    """Width and height of the camera's image as the network takes it."""
    camera = camera_from_message(camera_info(), rectified=True).camera
    seen = frame(camera, read_description(find_model(model)).input, MAX_NETWORK_PIXELS).seen
    return seen.width, seen.height


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m node_bench", description=__doc__)
    parser.add_argument("--model", default="lircdepth", help="(default: lircdepth)")
    parser.add_argument(
        "--focal-length",
        type=float,
        metavar="PX",
        help="measure a copy whose network sees images at another one: 557 makes 704x396 of them",
    )
    parser.add_argument("--images", type=int, default=60, help="of each kind (default: 60)")
    parser.add_argument("--points", type=int, default=300, help="of radar (default: 300)")
    parser.add_argument(
        "--out", type=Path, default=Path("out/node_bench"), help="(default: out/node_bench)"
    )
    parser.add_argument(
        "--cameras", type=int, nargs="+", metavar="N", help="only this: so many nodes at a time"
    )
    args = parser.parse_args()
    if min(args.cameras or [1]) < 1:
        parser.error("--cameras: give 1 or more")
    keep_to_ourselves()
    if args.focal_length:
        args.model = scaled_copy(args.model, args.focal_length, args.out / "model")
    if args.cameras:
        return _several_cameras(args)
    found = {
        name: measure(args.model, compressed, args.images, args.points, args.out / name)
        for name, compressed in (("raw", False), ("JPEG", True))
    }
    (args.out / "node_bench.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, figures in found.items():
        rows = [(step, f"{ms:.1f}") for step, ms in figures["floor"].items()]
        rows.append(("floor", f"{sum(figures['floor'].values()):.1f}"))
        rows += [(f"node: {stage}", f"{ms:.1f}") for stage, ms in figures["node"].items()]
        rows.append(("node without the network", f"{figures['besides_network']:.1f}"))
        rows.append(("of the floor", f"{figures['ratio']:.2f}"))
        print(Table(f"{name}, {WIDTH}x{HEIGHT}", ("median", "ms"), rows).text())
    return 0


def _several_cameras(args: argparse.Namespace) -> int:
    found = [
        measure_cameras(
            args.model, number, args.images, args.points, args.out / f"cameras-{number}"
        )
        for number in args.cameras
    ]
    (args.out / "cameras.json").write_text(json.dumps(found, indent=1) + "\n")
    rows = [
        (
            str(figures["cameras"]),
            f"{figures['p50_ms']:.0f}",
            f"{figures['images_per_second']:.1f}",
            f"{figures['memory_mb']:.0f}",
        )
        for figures in found
    ]
    columns = ("cameras", "all answered, p50 ms", "images/s", "memory MB")
    print(Table(f"one node for each camera, {WIDTH}x{HEIGHT}, raw", columns, rows).text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
