"""Several cameras on one machine: a node for each, all of them asked at a time."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

import cv2
import numpy as np

from node_bench.rig import PAUSE_SECONDS, Rig
from soak.feed import HEIGHT, WIDTH
from soak.node_process import resident_bytes, start_node

WARM_UP = 3


def measure_cameras(
    model: str, cameras: int, images: int, points: int, out: Path
) -> dict[str, Any]:
    """Send every camera's image at the same time, and wait until all are answered.

    Args:
        model: folder or name.
        cameras: how many nodes run.
        images: of each camera.
        points: radar points before each.
        out: folder for the nodes' files.

    Returns:
        `cameras`; `p50_ms`, of the time from sending to the last answer; `images_per_second`, of
        all cameras together at that pace; `memory_mb`, resident, of all nodes in the end.

    Raises:
        RuntimeError: a node does not start or answer.
    """
    image = smooth_image()
    times = []
    with ExitStack() as stack:
        rigs, processes = [], []
        for number in range(cameras):
            folder = out / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            process = start_node(model, folder, namespace=f"/camera{number}")
            stack.callback(_end, process)
            rig = Rig(process, None, image, points, namespace=f"/camera{number}")
            rigs.append(stack.enter_context(rig))
            processes.append(process)
        for rig in rigs:
            rig.wait_for_node()
        for _ in range(WARM_UP + images):
            for rig in rigs:
                rig.send_radar()
            time.sleep(PAUSE_SECONDS)
            began = time.perf_counter()
            for rig in rigs:
                rig.send_image()
            for rig in rigs:
                rig.wait_for_answers()
            times.append(time.perf_counter() - began)
        memory = sum(resident_bytes(process.pid) for process in processes)
    p50 = float(np.median(times[WARM_UP:]))
    return {
        "cameras": cameras,
        "p50_ms": 1000 * p50,
        "images_per_second": cameras / p50,
        "memory_mb": memory / 1e6,
    }


def smooth_image() -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8, of soft patches: a JPEG of noise would be like no camera's."""
    coarse = np.random.default_rng(0).integers(0, 256, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def _end(process: Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except TimeoutExpired:
        process.kill()
        process.wait()
