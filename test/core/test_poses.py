"""Poses: their inverse, and what it may not cost."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from lircdepth_core.poses import inverse_pose

QUARTER_TURN = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
"""x to y and y to -x, then moved by (1, 2, 3)."""


def test_the_inverse_moves_back_and_turns_back() -> None:
    back = inverse_pose(QUARTER_TURN)
    assert back.tolist() == [[0, 1, 0, -2], [-1, 0, 0, 1], [0, 0, 1, -3], [0, 0, 0, 1]]
    assert (back @ QUARTER_TURN).tolist() == np.eye(4).tolist()


PROCESSOR_TIME_OF_OTHER_THREADS = """
import time
import numpy as np
from lircdepth_core.poses import inverse_pose

def others():
    return time.process_time() - time.thread_time()

# Importing NumPy multiplies matrices as well: its BLAS threads are to have gone to sleep.
seen = -1.0
while others() - seen > 0.001:
    seen = others()
    time.sleep(0.2)
before = others()
for _ in range(3):
    inverse_pose(np.eye(4))
    time.sleep(0.2)
print(others() - before)
"""


def test_inverting_leaves_the_other_processors_alone() -> None:
    """NumPy's own inverse has its BLAS threads wait for more: 0.1 s of a processor per call."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESSOR_TIME_OF_OTHER_THREADS],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        check=True,
    )
    assert float(done.stdout) < 0.03
