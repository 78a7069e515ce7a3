"""Every back end gives torch's answer; `auto` takes the fastest that does."""

import dataclasses
import errno
import gc
import importlib.util
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch
from small_network import SmallNetwork, check_backend, sample

from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.artefacts import Artefacts, CacheError, proven_files
from lircdepth_core.inference.backends import (
    BACKENDS,
    NetworkMaps,
    RecentSizes,
    fastest,
    open_backend,
    requested_backend,
)
from lircdepth_core.inference.backends.backend import NotInstalledError
from lircdepth_core.inference.backends.catalogue import BackendKind
from lircdepth_core.inference.backends.choice import keep_torch
from lircdepth_core.inference.backends.recent import KEPT_SIZES
from lircdepth_core.inference.backends.torch_backend import TorchBackend
from lircdepth_core.inference.model_description import SeededWeights, format_description
from lircdepth_core.inference.onnx_export import export_onnx
from lircdepth_core.network import DeploymentGraph
from lircdepth_core.radar import RadarReturns

# What runs integers needs a quantised model: test/core/quantisation.
ON_CPU = [name for name, kind in BACKENDS.items() if "cpu" in kind.devices and not kind.int8]
NEED_FILES = [name for name in ON_CPU if BACKENDS[name].packages]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def artefacts(tmp_path):
    return Artefacts(tmp_path / "cache", "small")


def skip_without(name):
    if BACKENDS[name].missing:
        pytest.skip(f"{', '.join(BACKENDS[name].missing)} not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Where the small network's files are kept: those of a size serve every back end."""
    return tmp_path_factory.mktemp("built")


@pytest.mark.parametrize("name", [name for name in ON_CPU if "compiled" not in name])
def test_it_answers_as_torch_at_every_size(name, built):
    skip_without(name)
    check_backend(name, built)


def test_compiled_it_answers_as_torch_at_every_size(tmp_path):
    """In a process of its own: torch's compiler imports setuptools, which cannot be imported once
    something else has imported distutils.
    """
    names = [name for name in ON_CPU if "compiled" in name]
    code = "from small_network import check_backend\n"
    code += f"for name in {names}: print(name, flush=True); check_backend(name, {str(tmp_path)!r})"
    path = os.pathsep.join([str(ROOT), str(ROOT / "test" / "support")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == names


@pytest.mark.parametrize("name", NEED_FILES)
def test_what_was_built_serves_the_next_start(name, built, monkeypatch, small_network):
    skip_without(name)
    artefacts = Artefacts(built, "small")
    graph = DeploymentGraph(small_network)
    first = open_backend(name, graph, "cpu", artefacts, print)(*sample(32, 64))
    monkeypatch.setattr(
        "lircdepth_core.inference.backends.onnx_files.export_onnx",
        lambda *_: pytest.fail("exported again"),
    )
    again = open_backend(name, graph, "cpu", artefacts, print)(*sample(32, 64))
    np.testing.assert_array_equal(again.depth, first.depth)


class OneFile:
    """A network's file for every size: its N, H and W are open."""

    report = print

    def __init__(self, path):
        self.path = path

    def of_size(self, rows, columns):
        return self.path


@pytest.mark.parametrize(
    ("package", "made"),
    [
        ("onnxruntime", "InferenceSession"),
        ("openvino", "Core.compile_model"),
    ],
)
def test_a_lens_that_zooms_does_not_fill_the_memory(package, made, monkeypatch, onnx_file):
    pytest.importorskip(package)
    backend = BACKENDS[package].open(None, "cpu", onnx_file)
    owner = importlib.import_module(package)
    *path, name = made.split(".")
    for part in path:
        owner = getattr(owner, part)
    make, alive, sizes = getattr(owner, name), weakref.WeakSet(), []

    def remembered(*args, **kwargs):
        one = make(*args, **kwargs)
        alive.add(one)
        sizes.append(size)
        return one

    monkeypatch.setattr(owner, name, remembered)
    for size in [32 * number for number in range(1, KEPT_SIZES + 4)]:
        assert backend(*sample(32, size)).depth.shape == (32, size)
    gc.collect()
    assert len(alive) <= KEPT_SIZES
    made_so_far = len(sizes)
    for size in sizes[-KEPT_SIZES:]:
        backend(*sample(32, size))
    assert len(sizes) == made_so_far, "what was used last is kept"
    size = 32
    assert backend(*sample(32, size)).depth.shape == (32, size)
    assert sizes[-1] == size, "what is long ago is made anew"


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    export_onnx(DeploymentGraph(SmallNetwork()), path, None)
    return OneFile(path)


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize(
    ("name", "provider"),
    [("onnxruntime", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")],
)
def test_onnxruntime_does_not_run_on_the_cpu_unasked(name, provider, onnx_file, monkeypatch):
    import onnxruntime

    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {provider}")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider])
    backend = BACKENDS[name].open(None, "cuda:0", onnx_file)
    with pytest.raises(InputError, match=f"onnxruntime cannot load its {provider}; install"):
        backend(*sample(32, 64))


def test_onnxruntime_does_not_go_on_on_the_cpu_unasked(onnx_file, monkeypatch):
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

    make, sessions = onnxruntime.InferenceSession, []

    def remembered(*args, **kwargs):
        sessions.append(make(*args, **kwargs))
        return sessions[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", remembered)
    backend = BACKENDS["onnxruntime"].open(None, "cpu", onnx_file)
    backend(*sample(32, 64))

    broken = Mock(wraps=sessions[0]._sess)
    broken.run.side_effect = EPFail("[ONNXRuntimeError] : 11 : EP_FAIL : device lost")
    monkeypatch.setattr(sessions[0], "_sess", broken)
    monkeypatch.setattr(sessions[0], "set_providers", lambda *_: pytest.fail("another device"))
    with pytest.raises(EPFail, match="device lost"):
        backend(*sample(32, 64))


def test_of_the_image_s_bytes_the_first_thing_is_to_make_them_numbers(onnx_file):
    """TensorRT can do nothing else with bytes."""
    import onnx

    nodes = onnx.load(onnx_file.path).graph.node
    assert [node.op_type for node in nodes if "image" in node.input] == ["Cast"]


def test_a_tensorrt_engine_of_another_tensorrt_is_built_again(tmp_path, monkeypatch):
    """As ONNX Runtime does it: it builds an engine and keeps it, or fails on the one it finds."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

    class Session:
        def __init__(self, path, options, *, providers, enable_fallback):
            engine = Path(providers[0][1]["trt_engine_cache_path"], "graph_1_fp16_sm87.engine")
            if not engine.exists():
                engine.write_text(tensorrt)
                built.append(tensorrt)
            elif engine.read_text() != tensorrt:
                raise EPFail(f"TensorRT EP could not deserialize engine from cache: {engine}")

        def get_providers(self):
            return providers

        def run(self, outputs, inputs):
            return [np.ones((1, *inputs["image"].shape[1:3]), np.float32)] * 2

    built, told = [], []
    providers = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    files = OneFile(tmp_path / "network.onnx")
    monkeypatch.setattr(files, "report", told.append, raising=False)
    for tensorrt in ("10.3", "10.3", "10.7", "10.7"):  # noqa: B007, the sessions look at it
        BACKENDS["tensorrt"].open(None, "cuda:0", files)(*sample(32, 64))
    assert built == ["10.3", "10.7"]
    assert told == ["the TensorRT engine that was kept does not load, building one"]
    assert not list(tmp_path.rglob("*.aside"))


def test_a_tensorrt_engine_stays_where_none_can_be_built_instead(tmp_path, monkeypatch):
    """A card whose memory others fill makes ONNX Runtime say that the engine does not load."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

    def session(path, options, *, providers, enable_fallback):
        there = any(Path(providers[0][1]["trt_engine_cache_path"]).glob("*.engine"))
        failed = "could not deserialize engine from cache" if there else "out of memory"
        raise EPFail(f"TensorRT EP {failed}")

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with proven_files(engines := tmp_path / "tensorrt"):
        (engines / "graph.engine").write_text("good")
    backend = BACKENDS["tensorrt"].open(None, "cuda:0", OneFile(tmp_path / "network.onnx"))
    with pytest.raises(EPFail, match="out of memory"):
        backend(*sample(32, 64))
    assert (engines / "graph.engine").read_text() == "good"


def test_onnxruntime_that_was_made_without_a_card_is_told_from_one_that_fails(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(NotInstalledError, match="has no CUDAExecutionProvider; pip uninstall"):
        BACKENDS["onnxruntime"].open(None, "cuda:0", OneFile("network.onnx"))


def test_in_half_precision_the_weights_are_stored_so(small_network):
    graph = DeploymentGraph(small_network)
    backend = TorchBackend(graph, "cpu", half=True)
    halves = {each.dtype for each in backend._run.network.mix.parameters()}
    assert halves == {torch.bfloat16}
    assert {each.dtype for each in graph.parameters()} == {torch.float32}


def test_of_sizes_the_one_that_was_used_longest_ago_goes_before_another_is_made():
    recent, kept = RecentSizes(2), []

    def make(rows, columns):
        kept.append([size in recent for size in sizes])
        return rows * columns

    sizes = [(1, 1), (1, 2), (1, 3)]
    for rows, columns in [(1, 1), (1, 2), (1, 1), (1, 3)]:
        assert recent.get(rows, columns, make) == rows * columns
    assert kept == [[False, False, False], [True, False, False], [True, False, False]]
    assert [size in recent for size in sizes] == [True, False, True]


def test_a_predictor_runs_on_it(make_model, make_camera, artefacts, small_network):
    skip_without("onnxruntime")
    camera = make_camera(100, 60, 200.0)
    image, _ = sample(60, 100)
    radar = RadarReturns([[0.5, 0.2, 12.5]], [5.0], [[-3.0, 0.1]])
    depths = [
        Predictor(make_model(), small_network, "cpu", name, artefacts=artefacts)(
            image, camera, radar
        )
        for name in ("torch", "onnxruntime")
    ]
    np.testing.assert_allclose(depths[1].depth, depths[0].depth, rtol=1e-4)


@pytest.mark.parametrize("name", NEED_FILES)
def test_a_network_without_a_folder_runs_in_torch_only(
    name, make_model, monkeypatch, small_network
):
    skip_without(name)
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    assert Predictor(make_model(), small_network, "cpu").backend == "torch"
    with pytest.raises(InputError, match="needs a model from a folder"):
        Predictor(make_model(), small_network, "cpu", name)


def kind(seconds, factor=1.0, packages=(), error=None, uncertainty=0.5):
    """A back end that takes its time and answers with a depth that is off by a factor."""

    def open_(graph, device, files):
        if error is not None:
            raise error

        def run(image, radar):
            times.sleep(seconds)
            size = image.shape[:2]
            return NetworkMaps(
                np.full(size, 20 * factor, np.float32), np.full(size, uncertainty, np.float32)
            )

        return run

    return BackendKind(open_, packages, ("cpu",), ("cpu",))


class Times:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now

    def time(self):
        return 1_700_000_000 + self.now


times = Times()


@pytest.fixture
def choose(monkeypatch, artefacts, small_network):
    """Chooses among made-up back ends; returns name, reason and what was told meanwhile."""

    def choose(size=(96, 64), **kinds):
        monkeypatch.setattr("lircdepth_core.inference.backends.choice.time", times)
        told = []
        with patch.dict(BACKENDS, kinds, clear=True):
            graph = DeploymentGraph(small_network)
            return (*fastest(graph, "cpu", size, artefacts, told.append), told)

    return choose


def test_auto_is_the_fastest_that_is_right(choose):
    name, why, told = choose(
        torch=kind(0.4),
        quick=kind(0.2, 1.0005),
        wrong=kind(0.1, 1.002),
        nowhere=kind(0.01, packages=("no_such_package",)),
        broken=kind(0.01, error=RuntimeError("no driver\nhere")),
    )
    assert name == "quick"
    assert why == (
        "at 96x64: torch 400 ms, quick 200 ms, wrong is 2.0e-03 off, broken fails: no driver here"
    )
    assert len(told) == 1
    assert "torch, quick, wrong, broken" in told[0]


@pytest.mark.parametrize(
    ("module", "kind_of_error"),
    [
        ("onnxruntime.capi.onnxruntime_pybind11_state", "Fail"),
        ("openvino._pyopenvino", "GeneralFailure"),
    ],
)
def test_a_candidate_s_library_may_fail_by_an_error_of_its_own(module, kind_of_error, choose):
    error = getattr(pytest.importorskip(module), kind_of_error)("[a library] : no kernel")
    name, why, _ = choose(torch=kind(0.4), broken=kind(0.1, error=error))
    assert name == "torch"
    assert "broken fails: [a library] : no kernel" in why


def test_the_choice_is_kept(choose):
    kinds = {"torch": kind(0.2), "other": kind(0.4)}
    assert choose((64, 64), torch=kind(0.4), other=kind(0.1))[0] == "other"  # of another size
    assert choose(**kinds)[0] == "torch"
    kinds["other"] = kind(0.1)
    name, _, told = choose(**kinds)
    assert (name, told) == ("torch", [])
    assert choose(**kinds, third=kind(0.05))[0] == "third"  # another set of them is tried anew


def test_a_choice_among_back_ends_that_failed_is_made_again_after_a_day(choose):
    kinds = {"torch": kind(0.2), "other": kind(0.1, error=RuntimeError("out of memory"))}
    assert choose(**kinds)[0] == "torch"
    kinds["other"] = kind(0.1)
    times.sleep(80_000)
    assert choose(**kinds)[0] == "torch"
    times.sleep(10_000)
    name, why, told = choose(**kinds)
    assert (name, len(told)) == ("other", 1)
    assert "fails" not in why
    times.sleep(-1_000_000)  # a computer without a battery wakes up long ago
    assert choose(**kinds) == ("other", why, [])


def test_a_choice_without_what_is_not_installed_is_kept(choose):
    """ONNX Runtime for CPUs on a machine with a graphics card, say: trying daily helps nothing."""
    error = NotInstalledError("backend: no CUDAExecutionProvider")
    name, why, _ = choose(torch=kind(0.2), other=kind(0.1, error=error))
    assert (name, "other fails: backend: no CUDA" in why) == ("torch", True)
    times.sleep(100_000)
    assert choose(torch=kind(0.2), other=kind(0.1)) == ("torch", why, [])


def test_torch_is_kept_for_a_day_where_the_choice_failed_later(choose, artefacts):
    kinds = {"torch": kind(0.2), "other": kind(0.1)}
    assert choose(**kinds)[0] == "other"
    with patch.dict(BACKENDS, kinds, clear=True):
        keep_torch("a library is gone", "cpu", (96, 64), artefacts)
    assert choose(**kinds) == ("torch", "a library is gone", [])
    times.sleep(100_000)
    assert choose(**kinds)[0] == "other"


def test_a_choice_that_other_work_disturbed_is_made_again_after_a_day(choose):
    runs = iter([0.1, 0.1, 0.3, 0.3, 0.3, 0.3])  # the first is not measured
    as_fast = kind(0.0).open(None, None, None)

    def disturbed(graph, device, files):
        def answer(image, radar):
            times.sleep(next(runs))
            return as_fast(image, radar)

        return answer

    kinds = {"torch": kind(0.2), "busy": dataclasses.replace(kind(0.0), open=disturbed)}
    name, why, _ = choose(**kinds)
    assert (name, "busy 100 ms beside other work" in why) == ("busy", True)
    kinds["busy"] = kind(0.4)
    assert choose(**kinds)[0] == "busy"
    times.sleep(100_000)
    assert choose(**kinds)[:2] == ("torch", "at 96x64: torch 200 ms, busy 400 ms")


@pytest.mark.parametrize(
    "kept",
    [
        '{"name": "gone", "why": "", "doubtful": false, "time": 0.0}',
        '{"name": ["torch"], "why": "", "doubtful": false, "time": 0.0}',
        '{"name": "other", "why": "", "doubtful": true, "time": "x"}',
        "[" * 100_000,
        '[{"name": "torch"}]',
        '{"name": "other"}',
        "no JSON",
    ],
)
def test_what_is_no_choice_is_made_anew(choose, artefacts, kept):
    kinds = {"torch": kind(0.2), "other": kind(0.4)}

    def fill(folder):
        (folder / "choice.json").write_text(kept)

    real = Artefacts.get
    filling = patch.object(Artefacts, "get", lambda self, made_of, build: real(self, made_of, fill))
    with filling, pytest.raises(AssertionError):
        choose(**kinds)
    assert choose(**kinds)[0] == "torch"


@pytest.mark.parametrize("uncertainty", [0.6, np.nan])
def test_a_candidate_of_another_uncertainty_is_not_taken(uncertainty, choose):
    name, why, _ = choose(torch=kind(0.4), broken=kind(0.1, uncertainty=uncertainty))
    assert name == "torch"
    assert "broken is " in why


def test_networks_without_uncertainty_are_compared_by_depth(choose):
    kinds = {name: kind(s, uncertainty=np.nan) for name, s in (("torch", 0.4), ("quick", 0.1))}
    assert choose(**kinds)[0] == "quick"


def test_what_is_installed_in_part_is_named(choose):
    _, why, _ = choose(torch=kind(0.4), parted=kind(0.1, packages=("numpy", "no_such_package")))
    assert "parted needs no_such_package too" in why


def test_of_processes_that_start_together_one_measures(tmp_path, small_network):
    """The second waits for the first, and takes over what it found."""
    order, told, folder = [], [], Artefacts(tmp_path / "cache", "small")
    measuring = threading.Event()

    def open_(graph, device, files):
        order.append("opened")
        measuring.set()
        return slow

    def slow(image, radar):
        time.sleep(0.1)
        return NetworkMaps(*np.ones((2, *image.shape[:2]), np.float32))

    def start():
        fastest(DeploymentGraph(small_network), "cpu", (96, 64), folder, told.append)
        order.append("chosen")

    kinds = {"torch": BackendKind(open_, (), ("cpu",), ("cpu",))}
    with patch.dict(BACKENDS, kinds, clear=True):
        first, second = (threading.Thread(target=start, daemon=True) for _ in range(2))
        first.start()
        assert measuring.wait(10)
        second.start()
        first.join(30)
        second.join(30)
    assert order == ["opened", "chosen", "chosen"]
    assert told[0].startswith("trying torch")
    assert told[1].startswith("another process tries back ends")


def test_a_choice_that_cannot_be_made_again_stays(choose, artefacts, monkeypatch):
    kinds = {
        "torch": kind(0.4),
        "quick": kind(0.2),
        "broken": kind(0.1, error=RuntimeError("out of memory")),
    }
    assert choose(**kinds)[0] == "quick"
    times.sleep(100_000)
    kinds["quick"] = kind(0.8)

    def read_only(*_):
        raise OSError(errno.EROFS, "Read-only file system", str(artefacts.folder))

    monkeypatch.setattr(Artefacts, "_fill", read_only)
    assert choose(**kinds)[0] == "quick"


def test_without_a_home_torch_runs_and_others_say_what_to_set(make_model, tmp_path, monkeypatch):
    monkeypatch.delenv("LIRCDEPTH_BACKEND")

    def nowhere():
        raise CacheError("~/.cache: no home; set LIRCDEPTH_CACHE to a folder")

    monkeypatch.setattr("lircdepth_core.inference.artefacts.cache_folder", nowhere)
    description = make_model(trained=False, weights=SeededWeights(3))
    (tmp_path / "model.yaml").write_text(format_description(description))
    unasked = Predictor.load(tmp_path, "cpu")
    assert unasked.backend == "torch"
    assert "nothing can be kept: ~/.cache" in unasked.backend_reason
    asked = Predictor.load(tmp_path, "cpu", "torch")
    assert (asked.backend, asked.backend_reason) == ("torch", "")
    if not BACKENDS["openvino"].missing:
        with pytest.raises(CacheError, match="set LIRCDEPTH_CACHE"):
            Predictor.load(tmp_path, "cpu", "openvino")


def test_where_nothing_can_be_kept_torch_runs(make_model, monkeypatch, small_network):
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    nowhere = Artefacts(Path("/proc/no/cache"), "small")
    predictor = Predictor(make_model(), small_network, "cpu", artefacts=nowhere)
    assert predictor.backend == "torch"
    assert "nothing can be kept: /proc/no" in predictor.backend_reason
    if not BACKENDS["openvino"].missing:
        lost = Predictor(make_model(), small_network, "cpu", "openvino", artefacts=nowhere)
        with pytest.raises(InputError, match="set LIRCDEPTH_CACHE"):
            lost.warm_up(64, 64)


def test_a_compiled_network_that_was_torn_on_the_disk_is_compiled_again(artefacts, small_network):
    skip_without("openvino")
    graph = DeploymentGraph(small_network)
    first = open_backend("openvino", graph, "cpu", artefacts, print)(*sample(32, 64))
    (blob,) = artefacts.folder.glob("*/openvino/*.blob")
    whole = blob.read_bytes()
    torn = bytearray(whole)
    torn[len(whole) // 2 : len(whole) // 2 + 4096] = bytes(4096)
    assert torn != whole
    blob.write_bytes(torn)
    again = open_backend("openvino", graph, "cpu", artefacts, print)(*sample(32, 64))
    np.testing.assert_array_equal(again.depth, first.depth)
    (blob,) = artefacts.folder.glob("*/openvino/*.blob")
    assert blob.read_bytes() != torn


def test_a_fault_of_torch_is_not_hidden(choose):
    with pytest.raises(RuntimeError, match="ours"):
        choose(torch=kind(0.1, error=RuntimeError("ours")), other=kind(0.1))


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_a_torch_that_does_not_answer_with_numbers_is_one_line(factor, choose):
    with pytest.raises(NonFiniteError, match="not finite, on cpu with torch; give another device"):
        choose(torch=kind(0.1, factor), other=kind(0.1))


def test_a_depth_of_0_is_one(choose):
    name, why, _ = choose(torch=kind(0.4, 0.0), quick=kind(0.1, 0.0), wrong=kind(0.05, 1.0))
    assert name == "quick"
    assert "wrong is" in why


def test_a_candidate_that_does_not_answer_with_numbers_is_not_taken(choose):
    name, why, _ = choose(torch=kind(0.4), broken=kind(0.1, np.nan))
    assert name == "torch"
    assert "broken is nan off" in why


def test_auto_of_a_model_tries_and_tells(tmp_path, make_model, monkeypatch, small_network):
    """The real ones, on a network that costs next to nothing."""
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    told = []
    predictor = Predictor(
        make_model(weights=SeededWeights(3)),
        small_network,
        "cpu",
        artefacts=Artefacts(tmp_path, "small"),
        report=told.append,
    )
    assert predictor.backend in BACKENDS
    assert "torch" in predictor.backend_reason
    assert predictor.backend_reason in predictor.description
    assert told[0].startswith("trying torch")


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("tensorflow", "cpu", "'tensorflow' is unknown; give auto or torch, "),
        ("tensorrt", "cpu", "tensorrt does not run on cpu"),
        ("openvino", "cuda:0", "openvino does not run on cuda:0"),
    ],
)
def test_a_back_end_that_cannot_be_is_refused(name, device, words):
    with pytest.raises(InputError, match=words):
        requested_backend(name, device)


def test_a_back_end_that_is_not_installed_says_how(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"needs openvino.*pip install 'numpy<2' 'openvino' 'onnx'"
    ):
        requested_backend("openvino", "cpu")
    with pytest.raises(InputError, match=r"pip install 'numpy<2' 'onnxruntime-gpu' 'onnx'"):
        requested_backend("tensorrt", "cuda:0")
    assert requested_backend("torch", "cpu") == "torch"


def test_of_what_is_half_installed_the_rest_is_named(monkeypatch):
    # The other ONNX Runtime, which is for graphics cards, must not be laid over this one.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "onnxruntime" or None)
    with pytest.raises(InputError, match=r"run: pip install 'numpy<2' 'onnx' 'onnxscript'$"):
        requested_backend("onnxruntime", "cuda:0")


def test_the_environment_decides_what_auto_is(monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_BACKEND", "torch-half")
    assert requested_backend("auto", "cpu") == "torch-half"
    assert requested_backend("torch", "cpu") == "torch"
    monkeypatch.setenv("LIRCDEPTH_BACKEND", "none")
    with pytest.raises(InputError, match=r"\$LIRCDEPTH_BACKEND: 'none' is unknown"):
        requested_backend("auto", "cpu")
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    assert requested_backend("auto", "cpu") == "auto"
