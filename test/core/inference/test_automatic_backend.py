"""`auto` goes on with torch where the back end that was the fastest cannot run after all."""

from __future__ import annotations

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

    Returns the back end, what it told and what was forgotten.
    """
    monkeypatch.delenv("LIRCDEPTH_BACKEND")
    forgotten: list[tuple[int, int]] = []
    monkeypatch.setattr(automatic_module, "fastest", lambda *_: ("quick", "measured last week"))
    monkeypatch.setattr(automatic_module, "forget", lambda _, size, __: forgotten.append(size))
    with patch.dict(BACKENDS):

        def start(quick, torch=None):
            BACKENDS["quick"], BACKENDS["torch"] = quick, torch or kind(30, runs)
            told: list[str] = []
            graph, kept = DeploymentGraph(small_network), Artefacts(tmp_path, "small")
            backend = AutomaticBackend(graph, "cpu", (96, 64), kept, told.append)
            return backend, told, forgotten

        yield start


def test_what_runs_stays(start):
    backend, told, forgotten = start(kind(20, runs))
    assert (backend(*sample(32, 64)).depth == 20).all()
    assert (backend.name, backend.reason) == ("quick", "measured last week")
    assert not told
    assert not forgotten


def test_what_no_longer_opens_is_replaced_and_chosen_anew_the_next_time(start):
    backend, told, forgotten = start(kind(20, runs, opens=False))
    assert backend.name == "torch"
    assert "quick, the fastest, fails: libcudnn.so.9: cannot open shared" in backend.reason
    assert told == [f"{backend.reason}; from now on torch answers"]
    assert forgotten == [(96, 64)]
    assert (backend(*sample(32, 64)).depth == 30).all()


def test_the_image_at_which_it_fails_is_answered(start):
    def fails_at_32_rows(image):
        if image.shape[0] == 32:
            raise LOST

    backend, told, forgotten = start(kind(20, fails_at_32_rows))
    assert (backend(*sample(64, 96)).depth == 20).all()
    for _ in range(2):
        assert (backend(*sample(32, 64)).depth == 30).all()
    assert backend.name == "torch"
    assert len(told) == len(forgotten) == 1


def test_a_cache_that_cannot_be_written_says_nothing_of_the_choice(start):
    def builds(image):
        raise CacheError("/cache: Read-only file system")

    backend, told, forgotten = start(kind(20, builds))
    assert (backend(*sample(32, 64)).depth == 30).all()
    assert "Read-only" in told[0]
    assert not forgotten


def test_a_fault_of_torch_is_not_hidden_and_the_next_image_tries_again(start):
    def fails(image):
        raise LOST

    faults = iter([LOST])

    def fails_once(image):
        for error in faults:
            raise error

    backend, told, _ = start(kind(20, fails), kind(30, fails_once))
    with pytest.raises(RuntimeError, match="device lost"):
        backend(*sample(32, 64))
    assert (backend(*sample(32, 64)).depth == 30).all()
    assert len(told) == 1


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
