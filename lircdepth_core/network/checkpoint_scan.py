"""What a file of `torch.save` would have built, seen before anything is.

`torch.load(weights_only=True)` runs nothing, but it lets a file of 400 bytes ask for as much memory
as it likes: `bytearray(n)`, compressed members, or bytes encoded to twice their length again and
again.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from typing import Any, BinaryIO

from lircdepth_core.errors import InputError

MAX_PICKLE_BYTES = 64 << 20
"""Of one pickle; the tensors' values stand outside of it."""

_ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_PICKLES = 5  # magic number, version, system, the object, the names of its storages

_GLOBALS = {
    "collections": {"OrderedDict"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_parameter"},
    "torch": {"Size", "device"}
    | {f"{kind}Storage" for kind in ("Bool", "Byte", "Char", "Short", "Int", "Long")}
    | {f"{kind}Storage" for kind in ("BFloat16", "Half", "Float", "Double")}
    | {f"{kind}{bits}" for kind, bits in (("float", 16), ("float", 32), ("float", 64))}
    | {"bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"},
    "torch.storage": {"UntypedStorage", "TypedStorage"},
    "numpy": {"ndarray", "dtype"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "_codecs": {"encode"},
}
"""What parameters, an optimiser and NumPy's values are made of."""

_PLAIN = {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_EMPTY = {"EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT"}
_GETS = {"BINGET", "LONG_BINGET"}
_PUSHES = _PLAIN | _EMPTY | _GETS | {"BINUNICODE", "GLOBAL"}
_COMBINES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "BINPERSID"}
_OTHERS = {"PROTO", "MARK", "STOP", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS"}
_PUTS = {"BINPUT", "LONG_BINPUT"}

_ENCODE = object()


def check_checkpoint(file: BinaryIO, size: int) -> None:
    """See that a file of `torch.save` asks for nothing that parameters do not need.

    Args:
        file: at its beginning.
        size: its bytes.

    Raises:
        InputError: it does, says what; without the file's name.
        Exception: of any type, if it is damaged.
    """
    if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
        _check_archive(file, size)
        return
    file.seek(0)
    pickles = io.BytesIO(file.read(min(size, MAX_PICKLE_BYTES)))
    for _ in range(_LEGACY_PICKLES):
        _check_pickle(pickles)


def _check_archive(file: BinaryIO, size: int) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > size:
            raise InputError("refused, it would unpack to more than it holds")
        for member in members:
            if member.filename.endswith(".pkl"):
                if member.file_size > MAX_PICKLE_BYTES:
                    raise InputError(f"refused, {member.file_size} bytes beside its tensors")
                _check_pickle(io.BytesIO(archive.read(member)))


def _check_pickle(data: io.BytesIO) -> None:
    """See what a pickle names.

    `_codecs.encode` is how bytes are written; it is to come with its two arguments, the second
    of them latin1. Nothing here takes from the stack what could then be at its top, so that the
    memo is known.
    """
    memo: dict[int, Any] = {}
    top: Any = None  # a text, _ENCODE, or None for all else
    can_be_put = False
    wanted: list[Any] = []
    argument: Any
    for operation, argument, _ in pickletools.genops(data):
        name = operation.name
        if name in _PUTS:
            if not can_be_put:
                raise InputError("refused, its pickle is none of torch.save")
            memo[int(argument)] = top
            continue
        if name in _PUSHES:
            top = None
            if name == "GLOBAL":
                top = _global(*argument.split(" ", 1))
            elif name == "BINUNICODE":
                top = argument
            elif name in _GETS:
                top = memo.get(int(argument))
        elif name in _COMBINES:
            top = None
        elif name not in _OTHERS:
            raise InputError(f"refused, its pickle has {name}, which parameters do not need")
        can_be_put = name in _PUSHES or name in _COMBINES
        if wanted and not _fits(name, top, wanted.pop(0)):
            raise InputError("refused, it encodes what are no bytes")
        if top is _ENCODE:
            wanted = [str, "latin1", "TUPLE2", "REDUCE"]


def _global(module: str, name: str) -> Any:
    if name not in _GLOBALS.get(module, ()):
        module = "builtins" if module == "__builtin__" else module
        raise InputError(f"refused, it asks for {module}.{name}, which is no parameter")
    return _ENCODE if module == "_codecs" else None


def _fits(operation: str, top: Any, wanted: Any) -> bool:
    """Whether an operation is the one that is to come after `_codecs.encode`."""
    if wanted is str:
        return isinstance(top, str)
    if wanted == "latin1":
        return top == "latin1"
    return operation == wanted
