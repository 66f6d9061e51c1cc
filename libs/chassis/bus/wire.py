"""nats-py's client with two shorter ways for streams: messages handed over as they arrive, and many sent as one write.

Each message that nats-py delivers passes a header parser, an object, a queue and a task, and each one that it publishes
is checked and encoded by itself: together a third of a service's processor time under load (docs/adr/0022).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, MaxPayloadError, ProtocolError

from libs.chassis.bus.parser import LineParser

_log = structlog.get_logger()
_PREFIX = "NATS/1.0"
_NO_HEADERS: Mapping[str, str] = {}
_STATUS = re.compile(rb"NATS/1\.0[ \t]+(\d{3})(?:[ \t]+([^\r\n]*))?(?:\r|\n|$)")
_SERVERS_OWN = ("Status", "Description")

Direct = Callable[[bytes, bytes, bytes | None, bytes], None]
"""`direct(subject, reply, header block, data)`, called where the message is read; it must not block.

All four as they came: whoever may publish may put any bytes into them.
"""


class Outgoing(NamedTuple):
    subject: str
    body: bytes
    headers: str = ""
    """Lines `Name: value`, each with its line break (CRLF)."""


class Wire(Client):
    """A connection; `await Wire.to(**options)` takes what `nats.connect` takes."""

    def __init__(self) -> None:
        super().__init__()
        self._ps = LineParser(self)
        self._direct: dict[int, Direct] = {}
        self.failures = 0
        """Messages that whoever they were for could not take."""
        self.denied = 0
        """What the server did not let us publish or subscribe to: nothing that our code does by itself."""

    @classmethod
    async def to(cls, **options: Any) -> Self:
        client = cls()
        await client.connect(**options)
        return client

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
            self.denied += 1
        await super()._process_err(err_msg)

    async def subscribe_direct(self, subject: str, direct: Direct) -> Subscription:
        """Subscribe without queue and task: every message goes to `direct` in the order in which it came."""
        subscription = await self.subscribe(subject, future=None, pending_msgs_limit=-1, pending_bytes_limit=-1)
        self._direct[subscription._id] = direct
        return subscription

    async def send_all(self, messages: Iterable[tuple[Outgoing, str]]) -> None:
        """Write many (message, reply subject or "") at once, in order; nothing is written if one cannot be.

        Raises:
            ConnectionClosedError: the client is closed.
            MaxPayloadError: a message is larger than the server takes.
            ValueError: a line break in a subject would be read as another command.
        """
        if self.is_closed:
            raise ConnectionClosedError
        limit = self.max_payload
        commands = [_command(message, reply, limit) for message, reply in messages]
        self.stats["out_msgs"] += len(commands)
        await self._send_command(b"".join(commands))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    def hand_over(self, sid: int, subject: bytes, reply: bytes, block: bytes | None, data: bytes) -> bool:
        """Give a message to a direct subscription, at once; False: it is not for one."""
        direct = self._direct.get(sid)
        if direct is None:
            return False
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            direct(subject, reply, block, data)
        except Exception:  # noqa: BLE001 - as below
            self._failed(subject)
        return True

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """One message, whoever it is from: what goes wrong with it is its own affair, and the next one is read.

        An error that left from here would end the connection's reading for all others (promise 8).
        """
        try:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - of a stranger's message
            self._failed(subject)

    def _failed(self, subject: bytes) -> None:
        self.failures += 1
        if self.failures & (self.failures - 1) == 0:  # the first, the second, the fourth …: a flood fills no disk
            _log.exception("a message could not be taken", subject=subject[:200], failures=self.failures)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """For what nats-py delivers; its own reading fails on blocks that anybody may send.

        It knows the server's word by these two names, so a sender's headers of these names are left out.
        """
        found = {name: value for name, value in read_headers(headers).items() if name not in _SERVERS_OWN}
        if (said := read_status(headers)) is not None:
            found |= {name: value for name, value in zip(_SERVERS_OWN, said, strict=True) if value}
        return found or None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        names = subject.decode("utf-8", "replace"), reply.decode("utf-8", "replace")
        return Msg(_client=self, subject=names[0], reply=names[1], data=data, headers=headers, _sid=sid)

    async def _read_loop(self) -> None:
        """nats-py's ends at an error that it does not know, and stays connected and deaf until pings are missed."""
        await super()._read_loop()
        task = asyncio.current_task()
        if self.is_connected and not (task is not None and task.cancelling()):
            await self._process_op_err(ProtocolError())

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._direct.pop(sid, None)


def _command(message: Outgoing, reply: str, limit: int) -> bytes:
    subject, body, headers = message
    block = f"{_PREFIX}\r\n{headers}\r\n".encode() if headers else b""
    size = len(block) + len(body)
    if size > limit:
        raise MaxPayloadError
    line = f"HPUB {subject} {reply} {len(block)} {size}" if headers else f"PUB {subject} {reply} {size}"
    if line.count(" ") != (4 if headers else 3) or not line.isprintable():
        raise ValueError("a subject holds a space or a line break")
    return b"".join((line.encode(), b"\r\n", block, body, b"\r\n"))


def read_headers(block: bytes | None) -> Mapping[str, str]:
    """The headers of a block, whoever wrote them; never the server's status, which is not among them (`read_status`).

    As nats-py reads them: names and values without surrounding space, malformed UTF-8 replaced, names with a space
    inside left out.
    """
    if not block:
        return _NO_HEADERS
    _, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and " " not in (name := name.strip()):
            headers[name] = value.strip()
    return headers


def read_status(block: bytes | None) -> tuple[str, str] | None:
    """(status, description) of a block that begins with `NATS/1.0 <status>[ <description>]` (ADR-4 of NATS), or None.

    The server speaks to us by that line, and by it alone: a header named Status is somebody else's.
    """
    found = _STATUS.match(block or b"")
    if found is None:
        return None
    return found[1].decode(), (found[2] or b"").decode("utf-8", "replace").strip()


class Broker(NatsBroker):
    """FastStream's broker on a `Wire`, so that requests and streams share one connection.

    Our handlers take what came and check it by contracts of their own: FastStream injects nothing and makes no model of
    their arguments.
    """

    def __init__(self, **connection: Any) -> None:
        super().__init__(**connection, serializer=None, apply_types=False)

    async def _connect(self) -> Client:
        connection = await Wire.to(**self._connection_kwargs)
        self.config.connect(connection)
        return connection
