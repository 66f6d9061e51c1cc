"""TLS to NATS: the scheme `tls://` means that nothing, the password least of all, goes out before the handshake."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit


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
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # `ssl.SSLError` is one, and has a reason in place of an error text
        raise ValueError(f"PAGER_NATS_CA_FILE: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return {"tls": context, "tls_handshake_first": True}
