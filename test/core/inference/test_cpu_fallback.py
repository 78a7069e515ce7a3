from __future__ import annotations

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference import CpuFallback, release_device_memory
from lircdepth_core.inference.backends import requested_backend
from lircdepth_core.inference.cpu_fallback import is_device_failure

IMAGE = np.zeros((2, 3, 3), np.uint8)


class MadePredictor:
    """Answers with its device's name, or fails."""

    description, backend = "made", "torch"

    def __init__(self, device: str, error: Exception | None = None) -> None:
        self.device, self.error, self.calls = device, error, 0

    def warm_up(self, width: int | None = None, height: int | None = None) -> None:
        self(IMAGE, None, None)

    def __call__(self, image, camera, radar, out=None) -> SimpleNamespace:
        self.calls += 1
        if self.error:
            raise self.error
        return SimpleNamespace(device=self.device)


LOST = RuntimeError("CUDA error: an illegal memory access was encountered")
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.parametrize("error", [LOST, OUT_OF_MEMORY])
@pytest.mark.parametrize("while_warming_up", [False, True])
def test_the_image_at_which_a_device_fails_is_answered_by_the_cpu(error, while_warming_up):
    told: list[str] = []
    broken, cpu = MadePredictor("cuda:0", error), MadePredictor("cpu")
    predictor = CpuFallback(broken, lambda: cpu, told.append)
    assert predictor.device == "cuda:0"
    if while_warming_up:
        predictor.warm_up()
    assert predictor(IMAGE, None, None).device == "cpu"
    assert predictor(IMAGE, None, None).device == "cpu"
    assert predictor.device == "cpu"
    assert broken.calls == 1
    assert len(told) == 1
    assert "cuda:0 failed (CUDA" in told[0]


def test_a_device_that_works_answers_alone():
    works = MadePredictor("cuda:0")
    predictor = CpuFallback(works, pytest.fail, pytest.fail)
    assert [predictor(IMAGE, None, None).device for _ in range(2)] == ["cuda:0"] * 2
    assert works.calls == 2


def test_other_errors_are_no_failure_of_the_device():
    for error in (InputError("image: of another size"), RuntimeError("shapes differ")):
        predictor = CpuFallback(MadePredictor("cuda:0", error), pytest.fail, pytest.fail)
        with pytest.raises(type(error)):
            predictor(IMAGE, None, None)
    assert not is_device_failure(ValueError("cuda"))


# What ONNX Runtime says on CUDA and with TensorRT, by the type it says it with.
OF_ONNXRUNTIME = [
    (
        "Fail",
        "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered"
        " ; GPU=0 ; hostname=car ; file=cuda_call.cc ; line=129 ; expr=cudaStreamSynchronize",
    ),
    (
        "RuntimeException",
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running"
        " Conv node. Name:'' Status Message: bfc_arena.cc:376 Failed to allocate memory for"
        " requested buffer of size 2147483648",
    ),
    ("EPFail", "[ONNXRuntimeError] : 11 : EP_FAIL : engine could not be deserialised"),
]


def onnxruntime_error(kind: str, text: str) -> Exception:
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    return getattr(state, kind)(text)


@pytest.mark.parametrize(("kind", "text"), OF_ONNXRUNTIME)
def test_onnxruntime_s_own_errors_of_a_device_are_known(kind, text):
    error = onnxruntime_error(kind, text)
    assert not isinstance(error, RuntimeError)  # or this test would show nothing
    predictor = CpuFallback(
        MadePredictor("cuda:0", error), lambda: MadePredictor("cpu"), lambda told: None
    )
    assert predictor(IMAGE, None, None).device == "cpu"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("InvalidArgument", "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions"),
        ("NoSuchFile", "[ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from /home/gpu/n.onnx"),
        ("Fail", "[ONNXRuntimeError] : 1 : FAIL : Type Error: shapes differ"),
    ],
)
def test_onnxruntime_s_other_errors_are_no_failure_of_the_device(kind, text):
    assert not is_device_failure(onnxruntime_error(kind, text))


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr("lircdepth_core.inference.cpu_fallback.cuda_devices", lambda: 1)


def loader(errors: dict[str, Exception]):
    """Loads made predictors, but on devices that fail, and remembers what it was asked for."""
    asked: list[tuple[str, str]] = []

    def load(*, device: str, backend: str) -> MadePredictor:
        asked.append((device, backend))
        if device in errors:
            raise errors[device]
        return MadePredictor("cpu" if device == "cpu" else "cuda:0")

    return load, asked


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_device_that_fails_while_the_model_is_loaded_is_replaced_too(
    device, one_gpu, monkeypatch
):
    told: list[str] = []
    load, asked = loader({device: OUT_OF_MEMORY})
    given_back: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(True))
    predictor = CpuFallback.load(load, device, "tensorrt", told.append)
    assert given_back
    assert predictor(IMAGE, None, None).device == "cpu"
    assert asked == [(device, "tensorrt"), ("cpu", "auto")]
    assert len(told) == 1
    assert "cuda:0 failed (CUDA out of memory" in told[0]


def test_a_loaded_model_has_a_replacement_on_the_cpu(one_gpu):
    load, asked = loader({})
    predictor = CpuFallback.load(load, "auto", "torch", lambda text: None)
    assert asked == [("auto", "torch")]
    predictor._predictor.error = LOST
    assert predictor(IMAGE, None, None).device == "cpu"
    assert asked == [("auto", "torch"), ("cpu", "auto")]


@pytest.mark.parametrize("name", ["tensorrt", "none"])
@pytest.mark.parametrize("while_loading", [True, False])
def test_an_environment_that_names_what_the_cpu_cannot_run_stops_no_replacement(
    name, while_loading, one_gpu, monkeypatch
):
    monkeypatch.setenv("LIRCDEPTH_BACKEND", name)
    told: list[str] = []
    asked: list[str] = []

    def load(*, device: str, backend: str) -> MadePredictor:
        if device == "cpu":
            asked.append(backend)
            requested_backend(backend, device)  # as Predictor does
            return MadePredictor("cpu")
        if while_loading:
            raise OUT_OF_MEMORY
        return MadePredictor("cuda:0", OUT_OF_MEMORY)

    predictor = CpuFallback.load(load, "auto", "tensorrt", told.append)
    assert predictor(IMAGE, None, None).device == "cpu"
    assert asked == ["torch"]
    assert len(told) == 1
    assert "the CPU answers, slower, with torch ($LIRCDEPTH_BACKEND: " in told[0]


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_card_that_is_gone_before_the_start_is_replaced_too(device, monkeypatch):
    monkeypatch.setattr("lircdepth_core.inference.cpu_fallback.cuda_devices", lambda: 0)
    told: list[str] = []
    load, asked = loader({})
    assert CpuFallback.load(load, device, "torch", told.append)(IMAGE, None, None)
    assert asked == [("cpu", "auto")]
    assert told == [
        f"{device} failed (this machine has no CUDA devices); from now on the CPU answers, slower"
    ]


@pytest.mark.parametrize(
    ("device", "backend", "devices", "words"),
    [
        ("cuda:x", "auto", 0, "unknown"),
        ("cuda:7", "auto", 2, "is not there"),
        ("cuda:0", "tensorrtt", 0, "backend: 'tensorrtt' is unknown"),
    ],
)
def test_what_never_was_is_a_mistake(device, backend, devices, words, monkeypatch):
    monkeypatch.setattr("lircdepth_core.inference.cpu_fallback.cuda_devices", lambda: devices)
    with pytest.raises(InputError, match=words):
        CpuFallback.load(loader({})[0], device, backend, pytest.fail)


def test_of_a_card_that_failed_the_memory_is_given_back(monkeypatch):
    """Once nothing holds it: to others on that card, which the process never uses again."""
    held: list[bool] = []
    broken = MadePredictor("cuda:0", RuntimeError("CUDA error: unknown"))
    alive = weakref.ref(broken)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held.append(alive() is not None))
    predictor = CpuFallback(broken, lambda: MadePredictor("cpu"), lambda told: None)
    del broken
    predictor(IMAGE, None, None)
    assert held == [False]


def test_a_lost_card_keeps_its_memory(monkeypatch):
    def lost() -> None:
        raise LOST

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lost)
    release_device_memory()


def test_an_environment_that_names_what_the_cpu_can_run_is_followed(one_gpu, monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_BACKEND", "torch-half")
    told: list[str] = []
    load, asked = loader({"auto": LOST})
    CpuFallback.load(load, "auto", "auto", told.append)
    assert asked[-1] == ("cpu", "auto")
    assert told[0].endswith("slower")


def test_what_is_wrong_with_a_model_is_no_failure_of_the_device(one_gpu):
    load, asked = loader({"auto": InputError("model.yaml: no such model on this GPU")})
    with pytest.raises(InputError, match="no such model"):
        CpuFallback.load(load, "auto", "auto", pytest.fail)
    assert len(asked) == 1


def test_a_cpu_has_no_replacement(one_gpu):
    load, _ = loader({})
    assert isinstance(CpuFallback.load(load, "cpu", "auto", pytest.fail), MadePredictor)
    load, asked = loader({"cpu": RuntimeError("out of memory")})
    with pytest.raises(RuntimeError, match="out of memory"):
        CpuFallback.load(load, "cpu", "auto", pytest.fail)
    assert len(asked) == 1


def test_a_cpu_that_fails_too_is_not_replaced():
    loads: list[int] = []

    def load() -> MadePredictor:
        loads.append(1)
        return MadePredictor("cpu", OUT_OF_MEMORY)

    predictor = CpuFallback(MadePredictor("cuda:0", LOST), load, lambda text: None)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            predictor(IMAGE, None, None)
    assert loads == [1]
