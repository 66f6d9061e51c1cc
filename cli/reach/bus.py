"""Talking to NATS from the command line: as an operator, or as any sender."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from cli.console.failure import USAGE, Failure
from cli.settings import read_environment
from libs.chassis.tls import tls_options

TIMEOUT = 5.0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A connection under the inbox prefix that its user may use. Raises `Failure` when NATS does not answer."""
    user = urlsplit(url).username
    try:
        tls = tls_options(url, read_environment().get("PAGER_NATS_CA_FILE"))
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    try:
        # The client tries a refused connection again and again, whatever it is told of reconnecting.
        async with asyncio.timeout(TIMEOUT):
            client = await nats.connect(
                url,
                inbox_prefix=f"_INBOX_{user}" if user else "_INBOX",
                allow_reconnect=False,
                connect_timeout=2,
                name="pager-cli",
                error_cb=on_error,
                **tls,
            )
    except (NatsError, OSError, TimeoutError) as error:
        shown = urlsplit(url).netloc.rpartition("@")[2]
        why = str(error) or next(iter(refused), "") or "no answer in time"
        raise Failure(f"NATS at {shown} does not answer: {why}") from None
    try:
        yield client
    finally:
        await client.close()


async def ask(client: Client, service: str, operation: str, body: Mapping[str, Any], timeout: float = TIMEOUT) -> Any:
    """The data of an answer to `pager.rpc.<service>.<operation>`.

    Raises:
        Failure: nobody answers, or the service refuses.
    """
    try:
        message = await client.request(f"pager.rpc.{service}.{operation}", json.dumps(body).encode(), timeout=timeout)
    except NoRespondersError:
        raise Failure(f"{service} is away: nobody answers {operation}") from None
    except (NatsError, TimeoutError):
        raise Failure(f"{service} does not answer {operation} within {timeout:g} s") from None
    reply = json.loads(message.data)
    if not reply["ok"]:
        error = reply.get("error") or {}
        raise Failure(f"{service} refused {operation}: {error.get('message', 'no reason given')}")
    return reply.get("data")


async def publish_alert(client: Client, subject: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Publish as senders do and wait for the PubAck (`{"stream", "seq"}`): it is on disk. Raises `Failure`."""
    try:
        message = await client.request(subject, body, timeout=TIMEOUT, headers=dict(headers) or None)
    except NoRespondersError:
        raise Failure("no stream keeps alerts: is the stack up? (`pager doctor`)") from None
    except (NatsError, TimeoutError) as error:
        raise Failure(f"the alert was not acknowledged: {str(error) or type(error).__name__}") from None
    ack: dict[str, Any] = json.loads(message.data)
    if "error" in ack:
        raise Failure(f"the alert was refused: {ack['error'].get('description', ack['error'])}")
    return ack
