"""That a training keeps the memory it has."""

import platform
import subprocess
import sys

import pytest

HELD = """
import os, sys
import numpy as np
from lircdepth_core.training.freed_memory import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if sys.argv[1] == "keep":
    keep_freed_memory()
before = resident()
array = np.ones(32 << 20)
del array
print((resident() - before) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told what to do")
@pytest.mark.parametrize(("how", "fewest", "most"), [("keep", 250, 300), ("give back", -50, 50)])
def test_an_array_of_256_mib_is_kept_when_it_is_freed(how, fewest, most):
    command = [sys.executable, "-c", HELD, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert fewest < int(done.stdout) < most


def test_another_c_library_is_left_as_it_is():
    code = (
        "import ctypes, platform\n"
        "from lircdepth_core.training.freed_memory import keep_freed_memory\n"
        "platform.libc_ver = lambda: ('', '')\n"
        "ctypes.CDLL = None\n"
        "keep_freed_memory()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
