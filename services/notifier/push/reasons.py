"""Why there was no answer, in a few words of ours."""

import aiohttp


def connection_reason(error: aiohttp.ClientError) -> str:
    """A short reason without addresses, the same on every platform."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "certificate refused"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "connection refused"
        case aiohttp.ClientConnectorError():
            return f"connect failed: {type(error.os_error).__name__}"
        case _:
            return f"connection lost: {type(error).__name__}"
