"""The interactive documentation, without inline scripts; from this host where `fastapi-offline` is installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from services.gateway.envelope import Problem

_CDN = "https://cdn.jsdelivr.net"
_CDN_FOLDER = f"{_CDN}/npm/swagger-ui-dist@5"
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_START = """SwaggerUIBundle({url: "/api/docs-json", dom_id: "#docs", deepLinking: true, persistAuthorization: false});
"""


def _own_folder() -> Path | None:
    """Where the assets of the package `fastapi-offline` are; only its files are used, its code is not run."""
    found = find_spec("fastapi_offline")
    folder = Path(found.origin).parent / "static" if found is not None and found.origin is not None else None
    return folder if folder is not None and all((folder / name).is_file() for name in _ASSETS) else None


_FOLDER = _own_folder()
_SOURCE = "'self'" if _FOLDER is not None else f"'self' {_CDN}"
_POLICY = (
    f"default-src 'none'; script-src {_SOURCE}; style-src {_SOURCE} 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PLACE = "/api/docs/assets" if _FOLDER is not None else _CDN_FOLDER
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pager API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{_PLACE}/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="{_PLACE}/swagger-ui-bundle.js"></script>
<script src="/api/docs/assets/start.js"></script>
</body>
</html>
"""

router = APIRouter(tags=["docs"], include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs-json")
async def docs_json(request: Request) -> Response:
    # Beside the loop: what is asked for meanwhile does not wait for it.
    return Response(await run_in_threadpool(written, request.app), media_type="application/json")


@cache
def written(app: FastAPI) -> bytes:
    """The description as it is served: long, open to strangers, and therefore written once."""
    return to_json(app.openapi())


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    kept = {"Cache-Control": "public, max-age=3600"}
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=kept)
    if _FOLDER is None or name not in _ASSETS:
        raise Problem("NOT_FOUND", "no such page")
    return FileResponse(_FOLDER / name, media_type=_ASSETS[name], headers=kept)
