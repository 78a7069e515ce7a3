"""What precision a device is given."""

import subprocess
import sys

import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.training.precision import denormals_flushed, usable_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "expected"),
    [(True, True, "bf16"), (True, False, "bf16"), (False, True, "bf16"), (False, False, "fp32")],
)
def test_auto_takes_half_precision_on_a_cpu_that_has_it_in_hardware(
    amx, avx512_bf16, expected, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert usable_precision("optimiser.precision", "auto", CPU) == expected


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_half_precision_on_every_gpu(bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert usable_precision("optimiser.precision", "auto", CUDA) == expected


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_asked_for_is_given(precision, device):
    assert usable_precision("optimiser.precision", precision, device) == precision


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(InputError, match="teacher_precision: fp16 on cpu; take auto"):
        usable_precision("teacher_precision", "fp16", CPU)


def test_denormals_are_zero_only_while_flushed():
    smallest = torch.tensor([1.2e-38])
    if not torch.set_flush_denormal(False):
        pytest.skip("this CPU cannot flush denormals")
    with denormals_flushed():
        assert float(smallest / 4) == 0
    assert float(smallest / 4) > 0
    with pytest.raises(KeyError), denormals_flushed():
        raise KeyError
    assert float(smallest / 4) > 0


def test_numpy_does_not_warn_of_flushed_denormals():
    code = (
        "from lircdepth_core.training.precision import denormals_flushed\n"
        "import numpy as np\n"
        "with denormals_flushed():\n"
        "    print(np.finfo(np.float32).max, np.finfo(np.float64).max)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
