"""Shards of prepared samples on disk or behind a URL: which there are, and reading them.

A shard is a WebDataset tar file. `index.json` in their folder lists them with their numbers of
samples, so that readers can be given equal shares without opening one.
"""

from __future__ import annotations

import http.client
import os
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_sample
from lircdepth_core.encoded_image import (
    MAX_IMAGE_PIXELS,
    MAX_OTHER_BYTES,
    MAX_PNG_BYTES_PER_PIXEL,
)
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.extras import not_installed
from lircdepth_core.input_file import open_input_file
from lircdepth_core.plain_json import parse_plain_json

INDEX_FILE = "index.json"
INDEX_FORMAT = 1

MAX_INDEX_BYTES = 64 << 20
MAX_INDEX_SAMPLES = 100_000_000
"""Of one index, all shards together; none that `lircdepth prepare` made comes near either."""

MAX_MEMBER_BYTES = MAX_PNG_BYTES_PER_PIXEL * MAX_IMAGE_PIXELS + MAX_OTHER_BYTES
"""Of a file of a streamed sample: the largest image that would be decoded."""

MAX_SAMPLE_BYTES = 4 * MAX_MEMBER_BYTES
"""Of a streamed sample: three depth maps; and its image and its exact depth, each half as large."""

_SMALLEST_SAMPLE = 2 * tarfile.BLOCKSIZE  # a header, and a file that is not empty

_TAR_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    tarfile.TarError,
)
"""What tarfile raises of damaged archives: its own errors, and those of the numbers in extended
headers, and of many such headers in a row."""

ATTEMPTS = 3
"""How often a shard that is not on disk is asked for."""

Source = str | Path | Sequence[str | Path]
"""A folder with an index, an index, a tar file, a pattern such as `train/*.tar`, or a list of such;
an index and a tar file may be URLs."""


@dataclass(frozen=True)
class Shard:
    """A tar file of samples.

    Attributes:
        location: path or URL.
        samples: how many it holds; None if no index says so.
    """

    location: str
    samples: int | None = None

    @property
    def name(self) -> str:
        """Of the file, without its folder; of a URL without what may be signed anew each day."""
        path = self.location if self.is_local else urllib.parse.urlsplit(self.location).path
        return path.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it is a file, in which any sample can be read at once."""
        return not _is_url(self.location)


def read_samples(
    source: Source,
    *,
    wanted: Callable[[int], bool] | None = None,
    leave_out: Collection[str] = (),
    damaged: Callable[[InputError], None] | None = None,
) -> Iterator[Sample]:
    """Samples as they were prepared, always in the same order; see `numbered_samples`."""
    for _, sample in numbered_samples(source, wanted=wanted, leave_out=leave_out, damaged=damaged):
        yield sample


def numbered_samples(
    source: Source,
    *,
    wanted: Callable[[int], bool] | None = None,
    leave_out: Collection[str] = (),
    damaged: Callable[[InputError], None] | None = None,
) -> Iterator[tuple[int, Sample]]:
    """Samples with their numbers, counted from 0 over all shards.

    Args:
        source: where the shards are.
        wanted: whether to give the sample of a number; None: all. Others are not decoded, nor
            read from disk, and an indexed shard of which none is wanted is not opened.
        leave_out: extensions of files that are not needed, such as `accumulated.png`.
        damaged: told of each shard and sample that cannot be read, which then is passed over; the
            numbers behind it stay as they are if an index says how many samples a shard holds.

    Raises:
        InputError: there are no shards; or one is missing or damaged and `damaged` is None.
    """
    wanted = wanted or (lambda number: True)
    following = 0
    for shard in find_shards(source):
        first, following = following, following + (shard.samples or 0)
        try:
            for number, key, files in _numbered(shard, first, wanted, leave_out):
                following = max(following, number + 1)
                if files is None:
                    continue
                try:
                    sample = decode_sample(files, f"{shard.location}: {key}")
                except InputError as error:
                    if damaged is None:
                        raise
                    damaged(error)
                else:
                    yield number, sample
        except InputError as error:
            if damaged is None:
                raise
            damaged(error)


def find_shards(source: Source) -> list[Shard]:
    """The shards of a source, in order: an index's as it lists them, a pattern's by name.

    Raises:
        InputError: there are none, or an index is damaged or names files outside its folder.
    """
    if not isinstance(source, str | Path):
        return [shard for part in source for shard in find_shards(part)]
    location = str(source)
    if not _is_url(location) and Path(location).is_dir():
        location = str(Path(location) / INDEX_FILE)
    if location.endswith(".json"):
        return _indexed(location)
    if _is_url(location):
        return [Shard(location)]
    try:
        paths = sorted(Path(location).parent.glob(Path(location).name))
    except ValueError as error:  # such as a**
        raise InputError(f"{location}: {first_line(error)}; give another pattern") from error
    if not paths:
        raise InputError(f"{location}: no shards there; give the folder of `lircdepth prepare`")
    return [Shard(str(path)) for path in paths]


def read_shard(shard: Shard) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Stream a shard: each sample's key and its files by their extensions.

    What is not on disk is asked for again if it breaks off, and goes on where it was.

    Raises:
        InputError: it cannot be opened, is cut off, damaged or compressed, has a file or a sample
            larger than any is, or has another number of samples than its index says.
    """
    given = 0
    for attempt in range(1, 2 if shard.is_local else ATTEMPTS + 1):
        try:
            for item in islice(_stream(shard.location), given, None):
                given += 1
                yield item
            _check_count(shard, given)
            return
        except (*_TAR_ERRORS, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            hopeless = shard.is_local or refused or isinstance(error, InputError)
            if hopeless or attempt == ATTEMPTS:
                raise _unreadable(shard, error) from error
        time.sleep(attempt)


def first_key(shard: Shard) -> str:
    """The key of the first sample of a shard on disk, without reading further.

    Raises:
        InputError: it is missing, damaged or empty.
    """
    try:
        with (
            open_input_file(Path(shard.location), sys.maxsize) as file,
            _open_tar(file, "r:") as tar,
        ):
            member = tar.next()
    except _TAR_ERRORS as error:
        raise _unreadable(shard, error) from error
    if member is None:
        raise _unreadable(shard, EOFError("no samples"))
    return member.name.partition(".")[0]


def check_size(shard: Shard) -> None:
    """See that a shard on disk can hold as many samples as its index says, without reading it.

    Raises:
        InputError: it cannot, or is missing.
    """
    if not shard.is_local or shard.samples is None:
        return
    try:
        size = Path(shard.location).stat().st_size
        if shard.samples * _SMALLEST_SAMPLE > size:
            raise EOFError(f"{size} bytes, its index says {shard.samples} samples")
    except (OSError, EOFError) as error:
        raise _unreadable(shard, error) from error


class SeekableShard:
    """A shard on disk, of which any sample can be read.

    Attributes:
        keys: of its samples, in their order.

    Raises:
        InputError: it is missing or damaged, or has another number of samples than its index says.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard, self._path = shard, Path(shard.location)
        samples: dict[str, dict[str, tuple[int, int]]] = {}
        try:
            with (
                open_input_file(self._path, sys.maxsize) as file,
                _open_tar(file, "r:") as tar,
            ):
                size = os.fstat(file.fileno()).st_size
                for member in tar:
                    # Else it would be gone through for ever, or have memory that it does not fill.
                    if not 0 <= member.size <= size - member.offset_data:
                        raise EOFError(f"a member of {member.size} bytes in a file of {size}")
                    key, _, extension = member.name.partition(".")
                    place = (member.offset_data, member.size)
                    samples.setdefault(key, {})[extension] = place
            _check_count(shard, len(samples))
        except _TAR_ERRORS as error:
            raise _unreadable(shard, error) from error
        self.keys = tuple(samples)
        self._places = list(samples.values())

    def __len__(self) -> int:
        return len(self.keys)

    def files(self, number: int, leave_out: Collection[str] = ()) -> dict[str, bytes]:
        """A sample's files, by its number in the shard, but for some extensions.

        Raises:
            InputError: the shard cannot be read any more.
        """
        files = {}
        try:
            with self._path.open("rb") as file:
                for extension, (offset, size) in self._places[number].items():
                    if extension not in leave_out:
                        file.seek(offset)
                        files[extension] = file.read(size)
        except OSError as error:
            raise _unreadable(self._shard, error) from error
        return files


def _numbered(
    shard: Shard, first: int, wanted: Callable[[int], bool], leave_out: Collection[str]
) -> Iterator[tuple[int, str, dict[str, bytes] | None]]:
    """Numbers from `first` on, keys and files of a shard's samples; no files of the unwanted."""
    if shard.samples is not None and not any(map(wanted, range(first, first + shard.samples))):
        return
    if shard.is_local:
        opened = SeekableShard(shard)
        for index, key in enumerate(opened.keys):
            files = opened.files(index, leave_out) if wanted(first + index) else None
            yield first + index, key, files
    else:
        for number, (key, read) in enumerate(read_shard(shard), first):
            kept = {name: data for name, data in read.items() if name not in leave_out}
            yield number, key, kept if wanted(number) else None


def _stream(location: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Keys and files of a tar file's samples."""
    webdataset = _webdataset()
    with closing(_open(location)) as opened:
        stream = _BoundedStream(opened, location)
        members = _members(stream, location)
        for sample in webdataset.tariterators.group_by_keys(members):
            stream.begin_sample()
            files = {name: data for name, data in sample.items() if name[:2] != "__"}
            yield sample["__key__"], files


def _members(stream: _BoundedStream, location: str) -> Iterator[dict[str, Any]]:
    """The files of a tar file, as webdataset groups them; its own reader unpacks and has no bounds.

    Raises:
        InputError: one is larger than any of a sample.
    """
    with _open_tar(stream, "r|") as tar:
        kept: Any = tar  # the types leave out what it keeps
        while (member := tar.next()) is not None:
            if not 0 <= member.size <= MAX_MEMBER_BYTES:
                raise _too_large(location, f"a member of {member.size} bytes")
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:
                yield {"fname": member.name, "data": file.read(), "__url__": location}
            # Else it keeps all headers that it has seen, of a stream without end too.
            kept.members.clear()
            kept.pax_headers.clear()


class _BoundedStream:
    """A stream that gives no more bytes than a sample has until the next one begins.

    tarfile reads extended headers whole, of any size and number, before it tells of a member.
    """

    def __init__(self, stream: IO[bytes], location: str) -> None:
        self._stream, self._location = stream, location
        self._given = 0

    def begin_sample(self) -> None:
        """Count from here."""
        self._given = 0

    def read(self, size: int) -> bytes:
        """The next bytes; InputError if there are too many."""
        data = self._stream.read(size)
        self._given += len(data)
        if self._given > MAX_SAMPLE_BYTES:
            raise _too_large(self._location, f"a sample of more than {MAX_SAMPLE_BYTES} bytes")
        return data


def _open_tar(file: Any, mode: Literal["r:", "r|"]) -> tarfile.TarFile:
    """Open a tar file that is not compressed."""
    try:
        return tarfile.open(fileobj=file, mode=mode)
    except tarfile.ReadError as error:
        raise tarfile.ReadError(f"no uncompressed tar file: {error}") from error


def _too_large(location: str, what: str) -> InputError:
    """No error after which to ask again."""
    return _unreadable(Shard(location), ValueError(f"{what}, larger than any"))


def _check_count(shard: Shard, found: int) -> None:
    """See that nothing was cut off where one sample ends and the next would begin."""
    if shard.samples not in (None, found):
        raise EOFError(f"holds {found} samples, its index says {shard.samples}")


def _unreadable(shard: Shard, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"{shard.location}: cannot be read ({first_line(error)}); copy or prepare it again"
    )


def _indexed(location: str) -> list[Shard]:
    """The shards of an index."""
    try:
        with closing(_open(location)) as stream:
            data = stream.read(MAX_INDEX_BYTES + 1)
        if len(data) > MAX_INDEX_BYTES:
            raise ValueError(f"more than {MAX_INDEX_BYTES} bytes")
        index = parse_plain_json(data)
        if index["format"] != INDEX_FORMAT:
            raise _OtherFormatError(
                f"{location}: of format {index['format']!r:.40}, this program reads "
                f"{INDEX_FORMAT}; update it or prepare the data again"
            )
        entries = [(str(shard["file"]), _sample_count(shard)) for shard in index["shards"]]
    except _OtherFormatError:
        raise
    except (OSError, KeyError, TypeError, ValueError, http.client.HTTPException) as error:
        raise InputError(
            f"{location}: no index of shards ({first_line(error)}); run `lircdepth prepare`"
        ) from error
    if sum(count for _, count in entries) > MAX_INDEX_SAMPLES:
        raise InputError(
            f"{location}: says that there are more than {MAX_INDEX_SAMPLES} samples; prepare the "
            "data again"
        )
    for name, _ in entries:
        # An index from elsewhere must not make us open other files, or commands (`pipe:`).
        if any(mark in name for mark in "/\\:\0") or name.startswith("."):
            raise InputError(f"{location}: {name!r} is no file beside it; prepare the data again")
    folder = location.rpartition("/")[0]
    return [Shard(f"{folder}/{name}" if folder else name, count) for name, count in entries]


class _OtherFormatError(InputError):
    """An index that is whole, but of another version of this program."""


def _sample_count(entry: dict[str, Any]) -> int:
    """An index's number of samples of a shard; ValueError if it is none."""
    count = entry["samples"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"samples of {str(entry['file'])!r:.80} is {count!r:.40}")
    return count


def _open(location: str) -> IO[bytes]:
    """Open a file or URL; webdataset opens what is neither a file nor http(s)."""
    scheme = urllib.parse.urlsplit(location).scheme if _is_url(location) else ""
    if scheme in ("http", "https"):
        return cast(IO[bytes], urllib.request.urlopen(location, timeout=60))
    if scheme:
        return cast(IO[bytes], _webdataset().gopen(location))
    return open_input_file(Path(location), sys.maxsize)


def _is_url(location: str) -> bool:
    return "://" in location or location.startswith("pipe:")


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise InputError(not_installed("webdataset", "train")) from error
    return webdataset
