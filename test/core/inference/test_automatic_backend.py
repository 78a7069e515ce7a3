"""`auto` goes on with torch where the back end that was the fastest cannot run after all."""

from __future__ import annotations

import dataclasses
import time
import weakref
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest
from small_network import sample

from lircdepth_core.inference import Predictor
from lircdepth_core.inference.artefacts import Artefacts, CacheError
from lircdepth_core.inference.backends import BACKENDS, AutomaticBackend, NetworkMaps
from lircdepth_core.inference.backends import automatic as automatic_module
from lircdepth_core.inference.backends.catalogue import BackendKind
from lircdepth_core.inference.model_description import SeededWeights
from lircdepth_core.network import DeploymentGraph

LIBRARY_IS_GONE = RuntimeError("libcudnn.so.9: cannot open\nshared object file")
LOST = RuntimeError("CUDA error: device lost")


def kind(depth: float, run: Callable[[np.ndarray], None], opens: bool = True) -> BackendKind:
    """Answers with one depth, if `run` lets it."""

    def open_(graph, device, files):
        if not opens:
            raise LIBRARY_IS_GONE

        def answer(image, radar):
            run(image)
            values = np.full(image.shape[:2], depth, np.float32)
            return NetworkMaps(values, values / 100)

        return answer

    return BackendKind(open_, (), ("cpu",), ("cpu",))


def runs(image):
    """Lets it."""


@pytest.fixture
def start(tmp_path, small_network, monkeypatch):
    """Starts where `quick`, which answers with 20 m, was the fastest; torch answers with 30 m.

    Returns the back end, what it warned of and what was kept of that.
    """
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    kept: list[str] = []
    monkeypatch.setattr(automatic_module, "fastest", lambda *_: ("quick", "measured last week"))
    monkeypatch.setattr(automatic_module, "keep_torch", lambda why, *_: kept.append(why))
    with patch.dict(BACKENDS):

        def start(quick, torch=None):
            BACKENDS["quick"], BACKENDS["torch"] = quick, torch or kind(30, runs)
            warned: list[str] = []
            graph, artefacts = DeploymentGraph(small_network), Artefacts(tmp_path, "small")
            backend = AutomaticBackend(
                graph, "cpu", (96, 64), artefacts, pytest.fail, warned.append
            )
            return backend, warned, kept

        yield start


def test_what_runs_stays(start):
    backend, warned, kept = start(kind(20, runs))
    assert (backend(*sample(32, 64)).depth == 20).all()
    assert (backend.name, backend.reason) == ("quick", "measured last week")
    assert not warned
    assert not kept


def test_what_no_longer_opens_is_replaced_and_that_is_kept(start):
    backend, warned, kept = start(kind(20, runs, opens=False))
    assert backend.name == "torch"
    assert "quick, the fastest, fails: libcudnn.so.9: cannot open shared" in backend.reason
    assert warned == [f"{backend.reason}; from now on torch answers"]
    assert kept == [backend.reason]
    assert (backend(*sample(32, 64)).depth == 30).all()


def test_the_image_at_which_it_fails_is_answered(start):
    def fails_at_32_rows(image):
        if image.shape[0] == 32:
            raise LOST

    backend, warned, kept = start(kind(20, fails_at_32_rows))
    assert (backend(*sample(64, 96)).depth == 20).all()
    for _ in range(2):
        assert (backend(*sample(32, 64)).depth == 30).all()
    assert backend.name == "torch"
    assert len(warned) == len(kept) == 1


def test_a_cache_that_cannot_be_written_says_nothing_of_the_choice(start):
    def builds(image):
        raise CacheError("/cache: Read-only file system")

    backend, warned, kept = start(kind(20, builds))
    assert (backend(*sample(32, 64)).depth == 30).all()
    assert "Read-only" in warned[0]
    assert not kept


def test_a_fault_of_torch_is_not_hidden_and_the_next_image_tries_again(start):
    def fails(image):
        raise LOST

    faults = iter([LOST])

    def fails_once(image):
        for error in faults:
            raise error

    backend, warned, _ = start(kind(20, fails), kind(30, fails_once))
    with pytest.raises(RuntimeError, match="device lost"):
        backend(*sample(32, 64))
    assert (backend(*sample(32, 64)).depth == 30).all()
    assert len(warned) == 1


def test_what_failed_is_let_go_of_before_torch_is_opened(start):
    """Both may not fit into a card's memory."""
    alive: list[bool] = []

    class Held:
        """The memory of a back end."""

    held = Held()
    reference = weakref.ref(held)

    def fails(image, held=held):
        raise RuntimeError("CUDA error: device lost")

    quick = kind(20, fails)
    del held, fails

    def open_torch(graph, device, files):
        alive.append(reference() is not None)
        return kind(30, runs).open(graph, device, files)

    backend, _, _ = start(quick, dataclasses.replace(kind(30, runs), open=open_torch))
    BACKENDS["quick"] = kind(20, runs)
    del quick
    assert (backend(*sample(32, 64)).depth == 30).all()
    assert alive == [False]


def test_what_fails_at_one_size_only_is_not_tried_again_at_every_start(
    tmp_path, small_network, monkeypatch
):
    """Trying takes up to a minute, at another size than the camera's."""
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    told: list[str] = []
    warned: list[str] = []

    def fails_at_32_rows(image):
        if image.shape[0] == 32:
            raise RuntimeError("out of memory")

    def torch_is_slow(image):
        time.sleep(0.02)

    kinds = {"torch": kind(20, torch_is_slow), "quick": kind(20, fails_at_32_rows)}
    with patch.dict(BACKENDS, kinds, clear=True):
        for _ in range(3):
            backend = AutomaticBackend(
                DeploymentGraph(small_network),
                "cpu",
                (96, 64),
                Artefacts(tmp_path, "small"),
                told.append,
                warned.append,
            )
            backend(*sample(32, 64))
            assert (backend.name, backend.reason) == (
                "torch",
                "quick, the fastest, fails: out of memory",
            )
    assert len(told) == len(warned) == 1


def test_a_predictor_says_what_answers(start, make_model, make_camera, small_network, tmp_path):
    def fails(image):
        raise LOST

    start(kind(20, fails))
    predictor = Predictor(
        make_model(weights=SeededWeights(3)),
        small_network,
        "cpu",
        artefacts=Artefacts(tmp_path, "small"),
    )
    assert predictor.backend == "quick"
    camera = make_camera(64, 32, 200.0)
    assert np.nanmax(predictor(np.zeros((32, 64, 3), np.uint8), camera, None).depth) == 30
    assert predictor.backend == "torch"
    assert "with torch (quick, the fastest, fails: CUDA error: device lost)" in (
        predictor.description
    )
