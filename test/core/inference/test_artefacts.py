"""What is built once is used as long as it holds, and no longer."""

import json
import threading
import time

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.inference import artefacts
from lircdepth_core.inference.artefacts import Artefacts, cache_folder, proven_files
from lircdepth_core.inference.model_description import SeededWeights, StoredWeights
from lircdepth_core.unfinished_folder import unfinished_folder


class Builder:
    """Writes a file, and counts how often."""

    def __init__(self) -> None:
        self.builds = 0

    def __call__(self, folder):
        self.builds += 1
        (folder / "engine").write_text(f"build {self.builds}")


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def kept(tmp_path):
    return Artefacts(tmp_path / "cache", "student abc")


def test_it_is_built_once(kept, build):
    first = kept.get({"size": "64x96"}, build)
    assert kept.get({"size": "64x96"}, build) == first
    assert build.builds == 1
    assert (first / "engine").read_text() == "build 1"
    assert {path.name for path in kept.folder.iterdir()} == {first.name}


@pytest.mark.parametrize("change", ["size", "network", "torch", "code"])
def test_it_is_built_anew_for_what_it_depends_on(change, kept, build, monkeypatch):
    first = kept.get({"size": "64x96"}, build)
    size = "64x96"
    if change == "size":
        size = "96x64"
    elif change == "network":
        kept = Artefacts(kept.folder, "student abd")
    else:
        basis = {**artefacts._basis(), change: "another"}
        monkeypatch.setattr(artefacts, "_basis", lambda: basis)
    assert kept.get({"size": size}, build) != first
    assert build.builds == 2


@pytest.mark.parametrize("damage", ["change", "truncate", "delete", "list", "no list", "no dict"])
def test_what_does_not_hold_is_built_again(damage, kept, build):
    entry = kept.get({}, build)
    listed = entry / artefacts._LIST
    {
        "change": lambda: (entry / "engine").write_text("evil 1!"),
        "truncate": lambda: (entry / "engine").write_text("build"),
        "delete": (entry / "engine").unlink,
        "list": lambda: listed.write_text(json.dumps({"engine": "0" * 64})),
        "no list": listed.unlink,
        "no dict": lambda: listed.write_text("[]"),
    }[damage]()
    assert kept.get({}, build) == entry
    assert (entry / "engine").read_text() == "build 2"


def test_of_a_librarys_cache_only_what_was_listed_and_has_not_changed_is_found(tmp_path):
    folder = tmp_path / "engines"
    for name in ("whole", "torn"):
        with proven_files(folder):
            (folder / name).write_text(name)
    (folder / "torn").write_text("t rn")
    (folder / "unlisted").write_text("half writ")
    with proven_files(folder):
        assert {path.name for path in folder.iterdir()} == {"whole", artefacts._LIST}
    (folder / artefacts._LIST).write_text("[]")
    with proven_files(folder):
        assert not (folder / "whole").exists()


def test_a_librarys_cache_is_one_processs_at_a_time(tmp_path):
    folder, order = tmp_path / "engines", []

    def other():
        with proven_files(folder, lambda: order.append("waits")):
            order.append("second")

    with proven_files(folder):
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        while not order:
            time.sleep(0.01)
        order.append("first")
    thread.join(30)
    assert order == ["waits", "first", "second"]


def test_what_a_failed_build_left_is_not_found_again(tmp_path):
    folder = tmp_path / "engines"

    def build():
        with proven_files(folder):
            (folder / "half").write_text("half")
            raise ValueError("no kernel")

    with pytest.raises(ValueError, match="no kernel"):
        build()
    with proven_files(folder):
        assert not (folder / "half").exists()


def test_two_processes_may_build_the_same(kept, build):
    def while_another_is_quicker(folder):
        build(folder)
        kept.get({}, build)

    entry = kept.get({}, while_another_is_quicker)
    assert (entry / "engine").read_text() == "build 2"
    assert [path.name for path in kept.folder.iterdir()] == [entry.name]


def test_a_build_that_fails_leaves_nothing(kept):
    def fail(folder):
        (folder / "half").touch()
        raise InputError("no")

    with pytest.raises(InputError, match=r"^no$"):
        kept.get({}, fail)
    assert list(kept.folder.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_another_builds_stays(kept, build):
    left = kept.folder / ".building-abcdefgh"
    left.mkdir(parents=True)
    with unfinished_folder(kept.folder, ".building-") as others:
        kept.get({"size": "64x96"}, build)
        assert others.exists()
    assert not left.exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path, build):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file.*set LIRCDEPTH_CACHE") as caught:
        Artefacts(tmp_path / "file" / "cache", "student").get({}, build)
    assert "\n" not in str(caught.value)


def test_the_folder_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("LIRCDEPTH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LIRCDEPTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lircdepth"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "lircdepth"


def test_a_home_of_nobody_is_said(monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(InputError, match=r"~nobody-of-this-name/cache: .*; set LIRCDEPTH_CACHE"):
        cache_folder()


def test_other_weights_are_another_network(make_model):
    names = {
        Artefacts.of(make_model(weights=weights)).network
        for weights in (
            SeededWeights(1),
            SeededWeights(2),
            StoredWeights("weights.safetensors", "1" * 64),
            StoredWeights("weights.safetensors", "2" * 64),
        )
    }
    assert len(names) == 4
