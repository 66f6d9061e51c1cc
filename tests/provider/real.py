"""The real provider as a process, and what it is told of people."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Self

from libs.chassis.testing.deadline import DEADLINE
from tests.provider.site import CLIENT_ID, SECRET

PUBLIC_URL = "http://localhost:3000"
"""Where auth believes that people reach it."""
CALLBACK = f"{PUBLIC_URL}/api/v1/auth/oidc/callback"
APP = "com.example.pager:/signed-in"
WEB = "https://app.pager.test/signed-in?from=provider"


class RealProvider:
    """`async with RealProvider(folder) as provider`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people: dict[str, dict[str, Any]] = {}

    async def __aenter__(self) -> Self:
        self.knows()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.provider.site", str(self.folder), CALLBACK),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 4 * DEADLINE)
        self.url = f"http://127.0.0.1:{json.loads(line)['port']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()

    @property
    def issuer(self) -> str:
        return f"{self.url}/o"

    def settings(self, **more: str) -> dict[str, str]:
        given = {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SECRET,
            "oidc_redirect_uris": f"{APP}, {WEB}",
            "oidc_group_roles": '{"everybody": "user", "sre": ["user", "lead"], "bosses": "admin"}',
        }
        return given | more

    def knows(self, **people: dict[str, Any]) -> None:
        """From now on it tells this of them."""
        self.people |= people
        (self.folder / "people.json").write_text(json.dumps(self.people))
