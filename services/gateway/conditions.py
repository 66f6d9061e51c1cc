"""Conditional reading: whoever has seen an answer already is told so instead of being sent it again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.requests.matching import IF_NONE_MATCH, digest, is_seen


def conditional(request: Request, response: Response) -> Response:
    """An answer to a GET with its ETag: of its version where it has one, else a weak one of its bytes; or a 304.

    The answer is always made: nothing is kept of what was sent, so nothing can be stale.
    """
    body = getattr(response, "body", None)
    if response.status_code != 200 or not isinstance(body, bytes):
        return response
    tag = response.headers.setdefault("ETag", f'W/"{digest(body)}"')
    seen = request.headers.getlist(IF_NONE_MATCH)
    if not seen or not is_seen(", ".join(seen), tag):
        return response
    kept = {name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")}
    return Response(None, 304, kept)
