"""What a file of `torch.save` would have built, seen before anything is.

`torch.load(weights_only=True)` runs nothing, but it lets a file of 400 bytes ask for as much memory
as it likes: `bytearray(n)`, compressed members, or bytes encoded to twice their length again and
again. And it gives a tensor memory that nothing was read into: where `Tensor.set_` is given a
storage that is too short, or one that is not in the file.
"""

from __future__ import annotations

import io
import zipfile
from typing import BinaryIO

import torch

from lircdepth_core.errors import InputError
from lircdepth_core.network.pickle_scan import ITEM_BYTES, PickleScan, Storage

MAX_PICKLE_BYTES = 16 << 20
"""Of one pickle; the tensors' values stand outside of it. Each byte can stand for a list, which
takes sixty times as much memory."""

_ZIP_MAGIC = b"PK\x03\x04"
_HEADERS = 3  # of the format before zip: magic number, version, system
_COUNT_BYTES = 8  # before each storage's values there: how many elements


def check_checkpoint(file: BinaryIO, size: int) -> None:
    """See that a file of `torch.save` asks for nothing that parameters do not need.

    Every tensor lies inside of a storage, whose values are all in the file.

    Args:
        file: at its beginning.
        size: its bytes.

    Raises:
        InputError: it does, says what; without the file's name.
        Exception: of any type, if it is damaged.
    """
    if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
        _check_archive(file, size)
    else:
        file.seek(0)
        _check_legacy(file, size)


def _check_archive(file: BinaryIO, size: int) -> None:
    found: dict[str, int] = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > size:
            raise InputError("refused, it would unpack to more than it holds")
        for member in members:
            # torch does not tell capitals from small letters here.
            name = member.filename.partition("/")[2].lower()
            if name in found:
                raise InputError(f"refused, it holds {name!r:.80} twice")
            found[name] = member.file_size
    # By the reader that torch.load has: another could find another pickle in the same file.
    file.seek(0)
    pickled = torch._C.PyTorchFileReader(file).get_record("data.pkl")
    if len(pickled) > MAX_PICKLE_BYTES:
        raise InputError(f"refused, {len(pickled)} bytes beside its tensors")
    storages = PickleScan(io.BytesIO(pickled)).storages.values()
    if sum(storage.size for storage in storages) > size:
        raise InputError("refused, its tensors are larger than the file")
    for storage in storages:
        held = found.get(f"data/{storage.key.lower()}")
        if held != storage.size:
            raise _not_in_file(storage, "nothing" if held is None else f"{held} bytes")


def _check_legacy(file: BinaryIO, size: int) -> None:
    pickles = io.BytesIO(file.read(min(size, MAX_PICKLE_BYTES)))
    for _ in range(_HEADERS):
        PickleScan(pickles)
    storages = PickleScan(pickles).storages
    keys = PickleScan(pickles).result
    missing = storages.keys() - set(keys)
    if missing:
        raise _not_in_file(storages[min(missing)], "nothing")
    position = pickles.tell()
    for key in keys:
        storage = storages[key]
        file.seek(position)
        count = file.read(_COUNT_BYTES)
        position += _COUNT_BYTES + storage.size
        if len(count) < _COUNT_BYTES or position > size:
            raise EOFError("the last storages are cut off")
        items = int.from_bytes(count, "little")
        if items != storage.items:
            raise _not_in_file(storage, f"{items * ITEM_BYTES[storage.kind]} bytes")


def _not_in_file(storage: Storage, held: str) -> InputError:
    return InputError(
        f"refused, storage {storage.key!r:.40} is to have {storage.size} bytes, "
        f"the file has {held} of it"
    )
