"""What a pickle of `torch.save` would have built, followed without building it."""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from lircdepth_core.errors import InputError

ITEM_BYTES = {
    "torch.BoolStorage": 1,
    "torch.ByteStorage": 1,
    "torch.CharStorage": 1,
    "torch.ShortStorage": 2,
    "torch.IntStorage": 4,
    "torch.LongStorage": 8,
    "torch.BFloat16Storage": 2,
    "torch.HalfStorage": 2,
    "torch.FloatStorage": 4,
    "torch.DoubleStorage": 8,
    "torch.storage.UntypedStorage": 1,
}
"""Bytes of one element, by the type of a storage."""

_NUMPY = {
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
}
_DTYPES = {
    f"torch.{name}"
    for name in ("float16", "float32", "float64", "bfloat16", "bool", "uint8")
    + ("int8", "int16", "int32", "int64")
}


@dataclass(frozen=True)
class Storage:
    """Where tensors' values are.

    Attributes:
        key: its name in the file.
        kind: its type, one of `ITEM_BYTES`.
        items: how many elements it has.
    """

    key: str
    kind: str
    items: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.items * ITEM_BYTES[self.kind]


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass
class _Dictionary:
    ordered: bool = False
    keys: list[Any] = field(default_factory=list)


class _Tensor:
    pass


class _NumPyValue:
    pass


_PLAIN = object()
"""A value whose content does not matter: a float, bytes, a size, a device."""


class PickleScan:
    """What one pickle of `torch.save` builds, and the storages that it names.

    Each operation is followed on stand-ins, as torch's own reader for `weights_only` would execute
    it. Numbers, texts, tuples and lists stand for themselves.

    Args:
        data: where the pickle begins; it is left behind it.

    Attributes:
        result: what it holds.
        storages: by their keys.

    Raises:
        InputError: it would build or call what parameters do not need, or a tensor lies outside
            of its storage; without the file's name.
        Exception: of any type, if it is damaged.
    """

    def __init__(self, data: BinaryIO) -> None:
        self.storages: dict[str, Storage] = {}
        self.result: Any = None
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        for operation, argument, _ in pickletools.genops(data):
            execute = _OPERATIONS.get(operation.name)
            if execute is None:
                raise InputError(
                    f"refused, its pickle has {operation.name}, which parameters do not need"
                )
            execute(self, argument)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_global(self, argument: str) -> None:
        name = argument.replace(" ", ".", 1)
        if name not in _KNOWN:
            name = name.replace("__builtin__", "builtins", 1)
            raise InputError(f"refused, it asks for {name}, which is no parameter")
        self._push(_Global(name))

    def _put(self, number: Any) -> None:
        self._memo[int(number)] = self._stack[-1]

    def _get(self, number: Any) -> None:
        self._push(self._memo[int(number)])

    def _mark(self) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        values, self._stack = self._stack, self._outer.pop()
        return values

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise EOFError("a tuple of more than there is")
        values = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._push(values)

    def _append(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise InputError("refused, it appends to what is no list")
        self._stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, _Dictionary):
            raise InputError("refused, it sets items of what is no dictionary")
        for key in values[::2]:
            _check_key(key)
            target.keys.append(key)

    def _build(self) -> None:
        """Give an object its state: a dictionary's attributes, a NumPy value's content."""
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _NumPyValue):
            return
        if not (isinstance(target, _Dictionary) and target.ordered):
            what = "a tensor" if isinstance(target, _Tensor) else "a value"
            raise InputError(f"refused, it puts {what} on other memory after it was built")
        names = state.keys if isinstance(state, _Dictionary) else [None]
        if any(not isinstance(name, str) or hasattr(OrderedDict, name) for name in names):
            raise InputError("refused, it gives a dictionary other methods")

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise InputError("refused, it calls what is no function")
        call = _CALLS.get(function.name)
        if call is None:
            raise InputError(f"refused, it calls {function.name}, which builds no parameter")
        self._push(call(arguments))

    def _storage(self) -> None:
        """A reference to a storage: ("storage", type, key, device, elements), None for no view."""
        match self._stack.pop():
            case ("storage", _Global(kind), str(key), str(), int(items), *view) if (
                kind in ITEM_BYTES and items >= 0 and view in ([], [None])
            ):
                storage = Storage(key, kind, items)
            case _:
                raise InputError("refused, it refers to something else than a storage")
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"refused, it gives storage {key!r:.40} two sizes or types")
        self._push(storage)

    def _stop(self) -> None:
        self.result = self._stack.pop()


def _check_key(key: Any) -> None:
    """Tuples nested in themselves take a time that doubles with each nest to be looked up."""
    if isinstance(key, tuple) and any(isinstance(value, tuple) for value in key):
        raise InputError("refused, a dictionary's key is a tuple of tuples")


def _ordered_dict(arguments: tuple[Any, ...]) -> _Dictionary:
    """Empty, or of pairs, as Python 2 wrote it."""
    match arguments:
        case ():
            pairs: list[Any] = []
        case ([*pairs],) if all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
        ):
            pass
        case _:
            raise InputError("refused, it makes a dictionary of something else than pairs")
    for key, _ in pairs:
        _check_key(key)
    return _Dictionary(ordered=True, keys=[key for key, _ in pairs])


def _tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """A tensor, if its storage, offset, size and stride (in elements) fit each other."""
    match arguments:
        case (Storage() as storage, int(offset), tuple(size), tuple(stride), *_):
            pass
        case _:
            raise InputError("refused, it makes a tensor of something else than a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or any(not isinstance(n, int) or n < 0 for n in numbers):
        raise InputError("refused, a tensor's shape is none")
    end = offset
    if 0 not in size:
        end += 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if end > storage.items:
        raise InputError(
            f"refused, a tensor reaches to element {end} of storage {storage.key!r:.40}, which has "
            f"{storage.items}"
        )
    return _Tensor()


def _parameter(arguments: tuple[Any, ...]) -> _Tensor:
    if not (arguments and isinstance(arguments[0], _Tensor)):
        raise InputError("refused, it makes a parameter of something else than a tensor")
    return _Tensor()


def _bytes(arguments: tuple[Any, ...]) -> object:
    """Bytes are written as text; any other encoding could make them longer."""
    match arguments:
        case (str(), "latin1"):
            return _PLAIN
    raise InputError("refused, it encodes what are no bytes")


_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": lambda arguments: _PLAIN,
    "torch.device": lambda arguments: _PLAIN,
    "_codecs.encode": _bytes,
} | {name: lambda arguments: _NumPyValue() for name in _NUMPY}
"""What may be called. With the dtypes and the types of storages, all that parameters, an optimiser
and NumPy's values are made of."""

_KNOWN = _CALLS.keys() | ITEM_BYTES.keys() | _DTYPES

_Operation = Callable[[PickleScan, Any], None]
_OPERATIONS: dict[str, _Operation] = {
    "PROTO": lambda scan, argument: None,
    "NONE": lambda scan, argument: scan._push(None),
    "NEWTRUE": lambda scan, argument: scan._push(_PLAIN),
    "NEWFALSE": lambda scan, argument: scan._push(_PLAIN),
    "BINFLOAT": lambda scan, argument: scan._push(_PLAIN),
    "EMPTY_TUPLE": lambda scan, argument: scan._push(()),
    "EMPTY_LIST": lambda scan, argument: scan._push([]),
    "EMPTY_DICT": lambda scan, argument: scan._push(_Dictionary()),
    "BINPUT": PickleScan._put,
    "LONG_BINPUT": PickleScan._put,
    "BINGET": PickleScan._get,
    "LONG_BINGET": PickleScan._get,
    "GLOBAL": PickleScan._push_global,
    "MARK": lambda scan, argument: scan._mark(),
    "TUPLE": lambda scan, argument: scan._push(tuple(scan._pop_mark())),
    "TUPLE1": lambda scan, argument: scan._tuple(1),
    "TUPLE2": lambda scan, argument: scan._tuple(2),
    "TUPLE3": lambda scan, argument: scan._tuple(3),
    "APPEND": lambda scan, argument: scan._append([scan._stack.pop()]),
    "APPENDS": lambda scan, argument: scan._append(scan._pop_mark()),
    "SETITEM": lambda scan, argument: scan._set_items([scan._stack.pop(-2), scan._stack.pop()]),
    "SETITEMS": lambda scan, argument: scan._set_items(scan._pop_mark()),
    "BUILD": lambda scan, argument: scan._build(),
    "REDUCE": lambda scan, argument: scan._reduce(),
    "BINPERSID": lambda scan, argument: scan._storage(),
    "STOP": lambda scan, argument: scan._stop(),
} | dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"), PickleScan._push)
