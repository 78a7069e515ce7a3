"""What this process's Python asks of the network; connections to elsewhere are refused."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

REFUSED: list[str] = []
"""Connections to elsewhere, and names asked for, that were tried since this was imported."""

_LOOKUPS = (
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        other = arguments[0].family not in (socket.AF_INET, socket.AF_INET6)
        if other or arguments[1] is None:  # a message on a connection has no address of its own
            return
        host = arguments[1][0]
    elif event in _LOOKUPS:
        host = arguments[0][0] if event == "socket.getnameinfo" else arguments[0]
    else:
        return
    if _is_here(host):
        return
    REFUSED.append(f"{event} {host}")
    raise PermissionError(REFUSED[-1])


def _is_here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in ("localhost", socket.gethostname())


sys.addaudithook(_watch)
