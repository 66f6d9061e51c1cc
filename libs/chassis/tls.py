"""TLS to NATS: the scheme `tls://` means that nothing, the password least of all, goes out before the handshake."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from libs.chassis.environment import text_of


def tls_options(url: str, ca_file: str | None) -> dict[str, Any]:
    """Options of nats-py for a URL; `ca_file` is the PEM of an own authority, which then is the only one believed.

    nats-py starts TLS only when the server's greeting, which comes in the clear, asks for it: whoever sits between
    could leave that out and would be told the password. So the handshake comes first, which the server must
    allow (`tls { handshake_first: auto }`).

    Raises:
        ValueError: an authority for a connection without TLS, or one that cannot be read.
    """
    if urlsplit(url).scheme != "tls":
        if ca_file:
            raise ValueError("PAGER_NATS_CA_FILE needs a PAGER_NATS_URL that begins with tls://")
        return {}
    try:
        context = trusting(ca_file)
    except ValueError as error:
        raise ValueError(f"PAGER_NATS_CA_FILE: {error}") from None
    return {"tls": context, "tls_handshake_first": True}


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """For a client that believes the authorities of a PEM file, or the system's.

    Raises:
        ValueError: why it can be none.
    """
    if ca_file is not None:
        text_of(ca_file)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:  # `ssl.SSLError` is one
        raise ValueError("holds no certificates in the form of PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
