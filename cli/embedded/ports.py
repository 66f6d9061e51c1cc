"""TCP ports on loopback for embedded servers."""

import random
import socket
from pathlib import Path
from typing import Final

from cli.embedded.errors import StartError

LOOPBACK: Final = "127.0.0.1"
LOWEST: Final = 15_000
_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_EPHEMERAL: Final = 32_768
_TRIES: Final = 100


def free_port() -> int:
    """A port that nothing listens on, below those that the kernel gives to outgoing connections.

    A port from that range would be unsafe to come back to after a crash: a client that keeps knocking may be
    given the very port as its own and meet itself (TCP simultaneous open), which also keeps the server out.
    """
    try:
        ephemeral = int(_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        ephemeral = _DEFAULT_EPHEMERAL
    if ephemeral > LOWEST + _TRIES:
        for _ in range(_TRIES):
            port = random.SystemRandom().randrange(LOWEST, ephemeral)
            if is_free(port):
                return port
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        return int(any_port.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT must not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(port: int, setting: str) -> None:
    """Raises `StartError` naming the setting if the port is out of range, privileged or taken."""
    if not 0 < port < 65_536:
        raise StartError(setting, f"{port} is not a port", "choose one between 1024 and 65535, or 0 for any free one")
    if not is_free(port):
        raise StartError(
            setting,
            f"port {port} on {LOOPBACK} is taken or not allowed",
            "choose another, or 0 for any free one",
        )
