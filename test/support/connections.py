"""What this process's Python asks of the network; connections to elsewhere are refused."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

_refused: list[str] | None = None  # None: the hook, which cannot be taken out again, sleeps


def refuse(to: list[str] | None) -> None:
    """Refuse connections but to this machine, and note those tried; or None, no longer."""
    global _refused
    _refused = to


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _refused is None:
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if not isinstance(address, tuple) or ipaddress.ip_address(address[0]).is_loopback:
            return
        wanted = str(address)
    elif event == "socket.getaddrinfo" and arguments[0] not in (None, "localhost", "127.0.0.1"):
        wanted = str(arguments[0])
    else:
        return
    _refused.append(f"{event} {wanted}")
    raise PermissionError(_refused[-1])


sys.addaudithook(_watch)
