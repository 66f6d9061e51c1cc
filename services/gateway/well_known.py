"""The files by which iOS and Android believe that links of this server are an app's (Universal and App Links)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.envelope import Problem
from services.gateway.settings import Settings

_APPLE: Final = "apple-app-site-association"
_ANDROID: Final = "assetlinks.json"
_IN_BROWSERS: Final = ("/app/reset", "/app/verify")
"""Pages that are there without the app as well, and have no screen in it."""
_KEPT: Final = {"Cache-Control": "public, max-age=300"}


def files(settings: Settings) -> Mapping[str, bytes]:
    """By their names, those that the settings say something for."""
    apple, android = settings.apple_apps, settings.android_apps
    made: dict[str, Any] = {}
    if apple:
        # developer.apple.com, Supporting associated domains: of the components the first that fits counts.
        pages = [{"/": page, "exclude": True} for page in _IN_BROWSERS]
        links = {"appIDs": apple, "components": [*pages, {"/": "/app/*"}]}
        made[_APPLE] = {"applinks": {"details": [links]}, "webcredentials": {"apps": apple}}
    if android:
        # developers.google.com/digital-asset-links: which paths an app takes says its own manifest.
        relations = ["delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"]
        made[_ANDROID] = [
            {
                "relation": relations,
                "target": {"namespace": "android_app", "package_name": name, "sha256_cert_fingerprints": prints},
            }
            for name, prints in android.items()
        ]
    return {name: to_json(said) for name, said in made.items()}


router = APIRouter(prefix="/.well-known", include_in_schema=False)


@router.get(f"/{_APPLE}")
async def apple(request: Request) -> Response:
    return _answer(request, _APPLE)


@router.get(f"/{_ANDROID}")
async def android(request: Request) -> Response:
    return _answer(request, _ANDROID)


def _answer(request: Request, name: str) -> Response:
    """Raises Problem: no such app is set."""
    found: Mapping[str, bytes] = request.app.state.well_known
    if name not in found:
        raise Problem("NOT_FOUND", "no such path")
    return Response(found[name], headers=_KEPT, media_type="application/json")
