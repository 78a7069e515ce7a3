from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from http_folder import serving

from lircdepth_core.dataset import shards as shards_module
from lircdepth_core.dataset.sample_files import (
    decode_depth,
    decode_sample,
    encode_depth,
    encode_sample,
)
from lircdepth_core.dataset.shards import find_shards, numbered_samples, read_samples, read_shard
from lircdepth_core.errors import InputError


def test_depth_is_truncated_to_a_256th_of_a_metre():
    depth = np.array([[0, 1.0, 1.99 / 256, 30.0039, 255.999, 256.0, 1000]])
    expected = np.array([[0, 1.0, 1 / 256, 30.0, 65535 / 256, 0, 0]], np.float32)
    np.testing.assert_array_equal(decode_depth(encode_depth(depth)), expected)


def test_a_sample_comes_back_as_it_was(shards):
    for sample in read_samples(shards):
        again = decode_sample(encode_sample(sample), "test")
        assert (again.key, again.scene, again.channel) == (sample.key, sample.scene, sample.channel)
        assert (again.stamp, again.camera) == (sample.stamp, sample.camera)
        assert again.annotated is sample.annotated is True
        for name in ("radar", "boxes", "single_scan", "accumulated", "dense", "exact"):
            np.testing.assert_array_equal(getattr(again, name), getattr(sample, name))
        assert np.abs(again.image.astype(int) - sample.image).mean() < 3
    bare = decode_sample(
        encode_sample(replace(sample, accumulated=None, dense=None, exact=None)), "test"
    )
    assert bare.accumulated is bare.dense is bare.exact is None


def test_a_sample_knows_its_returns_in_space(shards):
    sample = next(read_samples(shards))
    seen = sample.radar_returns().visible_in(sample.camera)
    assert len(seen) == len(sample.radar) > 50
    np.testing.assert_allclose(seen.uv, sample.radar[:, :2], rtol=1e-5)
    np.testing.assert_array_equal(seen.velocity, sample.radar[:, 4:6])
    assert sample.radar_returns().stamp == pytest.approx(sample.stamp * 1e-6)


def test_every_way_to_name_shards_gives_the_same_samples(shards, url):
    keys = [sample.key for sample in read_samples(shards)]
    assert len(set(keys)) == 9
    names = [f"scene-000{number}-CAM_FRONT.tar" for number in (1, 2, 3)]
    for source in (
        str(shards),
        shards / "index.json",
        str(shards / "*.tar"),
        [shards / name for name in names],
        f"{url}/index.json",
        [f"{url}/{name}" for name in names],
    ):
        assert [sample.key for sample in read_samples(source)] == keys


@pytest.mark.parametrize("served", [False, True])
def test_only_what_is_wanted_is_given(served, shards, url):
    source = f"{url}/index.json" if served else shards
    keys = [sample.key for sample in read_samples(shards)]
    unused = ("accumulated.png", "exact.npz")
    found = list(numbered_samples(source, wanted=lambda number: number % 4 == 1, leave_out=unused))
    assert [(number, sample.key) for number, sample in found] == list(enumerate(keys))[1::4]
    assert all(sample.accumulated is sample.exact is None for _, sample in found)
    assert all(sample.dense is not None for _, sample in found)


@pytest.mark.parametrize("served", [False, True])
def test_a_shard_of_which_nothing_is_wanted_is_not_opened(served, shards, tmp_path):
    shutil.copytree(shards, tmp_path / "part")
    (tmp_path / "part" / "scene-0001-CAM_FRONT.tar").unlink()
    with serving(tmp_path / "part") as url:
        source = f"{url}/index.json" if served else tmp_path / "part"
        assert len(list(read_samples(source, wanted=lambda number: number >= 3))) == 6
        with pytest.raises(InputError, match=r"scene-0001-CAM_FRONT\.tar"):
            list(read_samples(source, wanted=lambda number: number >= 2))


def test_what_is_damaged_can_be_passed_over(shards, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(shards, folder)
    first, second = (folder / f"scene-000{number}-CAM_FRONT.tar" for number in (1, 2))
    first.write_bytes(first.read_bytes()[:-100_000])
    data = second.read_bytes()
    second.write_bytes(data.replace(b"JFIF", b"----", 1).replace(b"\xff\xd8\xff", b"---", 1))
    told: list[InputError] = []
    keys = [sample.key for sample in read_samples(folder, damaged=told.append)]
    assert keys == [sample.key for sample in read_samples(shards)][4:]
    assert first.name in str(told[0])
    assert f"{second.name}: scene-0002__" in str(told[1])
    assert len(told) == 2
    again = read_samples(folder, wanted=lambda number: number == 5, damaged=told.append)
    assert [sample.key for sample in again] == keys[1:2]


def test_the_tars_are_what_the_webdataset_library_reads(shards):
    webdataset = pytest.importorskip("webdataset")
    found = list(
        webdataset.WebDataset(str(shards / "scene-0001-CAM_FRONT.tar"), shardshuffle=False)
    )
    assert len(found) == 3
    assert np.load(io.BytesIO(found[0]["radar.npy"])).shape[1] == 7


def test_no_shards_is_said(tmp_path):
    for source in (tmp_path, tmp_path / "none.tar", str(tmp_path / "*.tar"), tmp_path / "x.json"):
        with pytest.raises(InputError, match=str(tmp_path)):
            find_shards(source)


def test_what_a_server_lacks_is_said(url):
    with pytest.raises(InputError, match="404"):
        list(read_samples(f"{url}/none.tar"))


@pytest.mark.parametrize(
    "name", ["../secret.tar", "/etc/passwd", "pipe:id", "a\\b.tar", ".x.tar", "a\0.tar"]
)
def test_an_index_cannot_name_what_is_not_beside_it(name, tmp_path):
    index = {"format": 1, "shards": [{"file": name, "samples": 1}]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="no file beside it"):
        find_shards(tmp_path)


@pytest.mark.parametrize(
    "index",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": 2, "shards": []}',
        '{"format": 1, "shards": [3]}',
        *(
            f'{{"format": 1, "shards": [{{"file": "a.tar", "samples": {samples}}}]}}'
            for samples in ("Infinity", "1e999", "NaN", "2.5", "-1", "true", "null", "9" * 400)
        ),
        '{"format": 1, "shards": [{"file": "a.tar", "samples": 10000000000}]}',
    ],
    ids=lambda index: index[-60:],
)
def test_a_damaged_index_is_said(index, tmp_path):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(InputError, match=r"index\.json"):
        find_shards(tmp_path)


def test_an_index_too_large_or_without_end_is_not_read(tmp_path):
    index = tmp_path / "index.json"
    with index.open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(InputError, match=r"index\.json: .*more than 67108864 bytes"):
        find_shards(tmp_path)
    index.unlink()
    index.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"index\.json: .*a pipe or a device"):
        find_shards(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "index.json")
    with pytest.raises(InputError, match=r"index\.json: .*a pipe or a device"):
        find_shards(tmp_path)
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(InputError, match=r"a\.tar: a pipe or a device"):
        list(read_samples(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("json", b"[" * 100_000, "not JSON"),
        ("json", b'{"K": 1}', "'key'"),
        *(
            ("json", {field: value}, words)
            for field, value, words in (
                ("K", [[10**400, 0, 16], [0, 30, 12], [0, 0, 1]], "an integer of 401 digits"),
                ("K", [[10**290, 0, 16], [0, 30, 12], [0, 0, 1]], "focal lengths"),
                ("width", 10**290, "size"),
                ("width", float("inf"), "size"),
                ("stamp", "noon", "stamp is 'noon'"),
                ("key", 3, "key is 3"),
                ("scene", None, "scene is None"),
                ("conditions", [1], r"conditions is \[1\]"),
            )
        ),
    ],
)
def test_a_damaged_record_names_its_sample(name, content, words, shards):
    _, files = next(iter(read_shard(find_shards(shards)[0])))
    if isinstance(content, dict):
        content = json.dumps({**json.loads(files[name]), **content}).encode()
    with pytest.raises(InputError, match=rf"a\.tar: 7: not a prepared sample \(.*{words}"):
        decode_sample({**files, name: content}, "a.tar: 7")


def test_a_cut_off_shard_is_said(shards, tmp_path):
    whole = (shards / "scene-0001-CAM_FRONT.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.tar"):
        list(read_samples(cut))


def extended(records: dict[str, str], count: int = 1) -> bytes:
    """A tar file of one member behind extended headers (POSIX pax) of such records."""
    body = b"".join(
        f"{len(line) + 3} {line}".encode()
        for line in (f"{name}={value}\n" for name, value in records.items())
    )
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, len(body)
    before = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(tarfile.BLOCKSIZE, b"\0")
    member = tarfile.TarInfo("a.json")
    member.size = 1
    data = member.tobuf(tarfile.USTAR_FORMAT) + b"1".ljust(tarfile.BLOCKSIZE, b"\0")
    return before * count + data + bytes(2 * tarfile.BLOCKSIZE)


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize(
    ("records", "count"),
    [
        ({"GNU.sparse.map": "one,two"}, 1),
        ({"GNU.sparse.size": "many"}, 1),
        ({"GNU.sparse.realsize": str(2**60)}, 1),
        ({"GNU.sparse.size": str(2**80), "GNU.sparse.map": "0,1"}, 1),
        ({"size": "-1024"}, 1),
        ({"comment": "one of many"}, 3000),
    ],
    ids=["map", "size", "huge", "overflow", "negative", "many"],
)
def test_a_shard_of_damaged_headers_is_said(records, count, served, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "a.tar").write_bytes(extended(records, count))
    said = pytest.raises(InputError, match=r"a\.tar: cannot be read \(")
    with serving(tmp_path) as url, said:
        next(read_samples(f"{url}/a.tar" if served else tmp_path / "a.tar"))


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("size", [-512, -1024, 2**40])
def test_a_shard_of_a_member_that_is_not_in_it_is_said(size, served, tmp_path, monkeypatch):
    """tarfile goes round for ever where a size leads back to its own header."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    member = tarfile.TarInfo("a.json")
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = (b"\xff" if size < 0 else b"\x80") + size.to_bytes(11, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(2 * tarfile.BLOCKSIZE))
    said = pytest.raises(InputError, match=r"a\.tar: cannot be read \(")
    with serving(tmp_path) as url, said:
        next(read_samples(f"{url}/a.tar" if served else tmp_path / "a.tar"))


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_shard_is_refused(kind, served, tmp_path, monkeypatch):
    """A few kilobytes of it could unpack to any number of bytes."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with tarfile.open(tmp_path / "a.tar", f"w:{kind}") as tar:
        member = tarfile.TarInfo("a.json")
        member.size = 2**20
        tar.addfile(member, io.BytesIO(bytes(2**20)))
    with serving(tmp_path) as url:
        shard = find_shards(f"{url}/a.tar" if served else tmp_path / "a.tar")[0]
        for read in (lambda: read_samples(shard.location), lambda: read_shard(shard)):
            with pytest.raises(InputError, match=r"a\.tar: cannot be read \(no uncompressed tar"):
                next(read())


LARGEST = 50_000
"""Bytes of a file; the largest that may be are too large for a test."""


def archive(*sizes: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar file whose members, files of one sample, are as large as they say."""
    parts = []
    for number, size in enumerate(sizes):
        member = tarfile.TarInfo(f"a.{number}")
        member.type, member.size = kind, size
        parts += [member.tobuf(), bytes(-(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)]
    return b"".join([*parts, bytes(2 * tarfile.BLOCKSIZE)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive(LARGEST + 1), f"a member of {LARGEST + 1} bytes"),
        (archive(*[LARGEST] * 5), f"a sample of more than {4 * LARGEST} bytes"),
        (archive(*[0] * 500), f"a sample of more than {4 * LARGEST} bytes"),
        (archive(5 * LARGEST, kind=tarfile.XHDTYPE), f"a sample of more than {4 * LARGEST} bytes"),
        (archive(5 * LARGEST, kind=tarfile.GNUTYPE_LONGNAME), "a sample of more than"),
        (extended({"GNU.sparse.size": "60000", "GNU.sparse.map": "0,1"}), "a member of 60000"),
    ],
    ids=["file", "sample", "many", "header", "name", "sparse"],
)
@pytest.mark.parametrize("served", [False, True])
def test_what_is_larger_than_any_sample_is_not_streamed(
    content, words, served, tmp_path, monkeypatch
):
    monkeypatch.setattr(shards_module, "MAX_MEMBER_BYTES", LARGEST)
    monkeypatch.setattr(shards_module, "MAX_SAMPLE_BYTES", 4 * LARGEST)
    (tmp_path / "a.tar").write_bytes(content)
    said = pytest.raises(InputError, match=rf"a\.tar: cannot be read \({words}.*, larger than any")
    with serving(tmp_path) as url, said:
        list(read_shard(find_shards(f"{url}/a.tar" if served else tmp_path / "a.tar")[0]))


def test_large_samples_one_after_another_are_streamed(shards, monkeypatch):
    every = [files for _, files in read_shard(find_shards(shards)[0])]
    largest = max(sum(map(len, files.values())) for files in every)
    monkeypatch.setattr(shards_module, "MAX_SAMPLE_BYTES", int(1.5 * largest))
    assert len(list(read_shard(find_shards(shards)[0]))) == len(every) == 3


LIMITED = """
import resource, sys
from lircdepth_core.dataset.shards import find_shards, read_shard
from lircdepth_core.errors import InputError

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(read_shard(find_shards(sys.argv[1])[0]))
except InputError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_shard_that_would_unpack_to_much_takes_no_memory(tmp_path):
    member = tarfile.TarInfo("a.json")
    member.size = 300 << 20
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar, Path("/dev/zero").open("rb") as zeros:
        tar.addfile(member, zeros)
    assert (tmp_path / "a.tar").stat().st_size < 400_000
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "a.tar")]
    kilobytes = int(subprocess.check_output(command, text=True, timeout=60))
    assert kilobytes < 100_000


def test_a_pattern_that_is_none_is_said():
    try:
        found = str(find_shards("data/a**.tar"))
    except InputError as error:
        found = str(error)
    assert found.startswith("data/a**.tar: ")  # Python 3.13 takes it for a*


def cut_between_samples(shards: Path, folder: Path) -> Path:
    """A copy of the shards of which the first lost its last sample, without a trace in the file."""
    shutil.copytree(shards, folder)
    path = folder / "scene-0001-CAM_FRONT.tar"
    with tarfile.open(path) as tar:
        begin = next(member.offset for member in tar if member.name.startswith(last_key(shards)))
    path.write_bytes(path.read_bytes()[:begin])
    return path


def last_key(shards: Path) -> str:
    *_, (key, _) = read_shard(find_shards(shards)[0])
    return key


@pytest.mark.parametrize("served", [False, True])
def test_a_shard_cut_between_samples_is_said(served, shards, tmp_path, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    path = cut_between_samples(shards, tmp_path / "cut")
    with serving(path.parent) as url:
        source = f"{url}/index.json" if served else path.parent
        with pytest.raises(InputError, match=rf"{path.name}: .*2 samples, its index says 3"):
            list(read_samples(source))
        with pytest.raises(InputError, match="2 samples, its index says 3"):
            list(read_shard(find_shards(source)[0]))
    assert waits == [1, 2] * 2 * served


def test_a_download_that_breaks_off_is_taken_up_again(shards, tmp_path, monkeypatch):
    path = cut_between_samples(shards, tmp_path / "cut")

    def mend(seconds: float) -> None:
        shutil.copy(shards / path.name, path)

    monkeypatch.setattr(time, "sleep", mend)
    with serving(path.parent) as url:
        keys = [sample.key for sample in read_samples(f"{url}/index.json")]
    assert keys == [sample.key for sample in read_samples(shards)]


def rewritten(shards: Path, folder: Path, change) -> Path:
    """A shard whose first sample's files were changed."""
    key, files = next(read_shard(find_shards(shards)[0]))
    change(files)
    path = folder / "changed.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{key}.{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def array(values: np.ndarray) -> bytes:
    """As a sample holds it."""
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32))
    return buffer.getvalue()


def return_in_box(number: float) -> dict[str, bytes]:
    """One radar return that is said to lie in a box."""
    return {"radar.npy": array(np.array([[5, 5, 20, 0, 0, 0, number]]))}


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.pop("single.png"),
        lambda files: files.pop("json"),
        lambda files: files.update({"json": b"{}"}),
        lambda files: files.update({"image.jpg": b""}),
        lambda files: files.update({"image.jpg": b"GIF89a"}),
        lambda files: files.update({"dense.png": files["image.jpg"]}),
        lambda files: files.update({"single.png": encode_depth(np.ones((3, 3)))}),
        lambda files: files.update({"exact.npz": b"PK"}),
        lambda files: files.update({"exact.npz": files["radar.npy"]}),
        lambda files: files.update({"radar.npy": b"\x93NUMPY"}),
        lambda files: files.update({"boxes.npy": array(np.zeros((0, 4))), **return_in_box(7)}),
        lambda files: files.update(return_in_box(np.nan)),
    ],
)
def test_a_damaged_sample_is_said(change, shards, tmp_path):
    with pytest.raises(InputError, match=r"changed\.tar: scene-0001__"):
        list(read_samples(rewritten(shards, tmp_path, change)))


def test_nothing_is_unpickled(shards, tmp_path):
    trap = io.BytesIO()
    np.save(trap, np.array([Trap()], object), allow_pickle=True)
    path = rewritten(shards, tmp_path, lambda files: files.update({"radar.npy": trap.getvalue()}))
    with pytest.raises(InputError):
        list(read_samples(path))
    assert not Trap.sprung


class Trap:
    sprung = False

    def __reduce__(self) -> tuple:
        return setattr, (Trap, "sprung", True)


def test_shards_can_be_moved(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "moved")
    assert len(list(read_samples(tmp_path / "moved"))) == 9
