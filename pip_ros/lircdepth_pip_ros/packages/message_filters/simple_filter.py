"""What every filter is: something that callbacks can be registered with."""

from collections.abc import Callable
from typing import Any


class SimpleFilter:
    """Hands each of its outputs to all registered callbacks, in the order of registration."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Have `cb(*messages, *args)` called for each output; return the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Pass one output on."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)
