"""What has been said on a connection is with the server."""

from __future__ import annotations

from nats.aio.client import Client


async def has_sent(client: Client) -> None:
    """Return once the server has all that was said before, subscriptions too.

    Twice, since a PING of nats-py may overtake what still waits to be sent. Raises `nats.errors.Error`.
    """
    await client.flush()
    await client.flush()
