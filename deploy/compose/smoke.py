"""`python3 -m deploy.compose.smoke`: one page through a running compose installation, from the alert to the phone.

The admin, who is on call from the first start, signs in with a phone; an alert is published as senders publish it; the
push must reach the simulator, and the acknowledgement must be taken. It needs nothing but `docker compose`.
"""

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
SECONDS: Final = 30.0
_READ_PUSHES: Final = (
    "import sys, urllib.request;"
    "sys.stdout.buffer.write(urllib.request.urlopen('http://127.0.0.1:3001/pushes?limit=1000', timeout=5).read())"
)


@dataclass(frozen=True)
class Smoke:
    """`gateway` is a URL; `pager` runs the command with these arguments; `pushes` is what the simulators recorded."""

    gateway: str
    email: str
    password: str
    pager: Callable[[Sequence[str]], object]
    pushes: Callable[[], list[dict[str, Any]]]

    def run(self) -> str:
        """One line that says how long it took; raises `AssertionError` when a page is missing."""
        # 64 hexadecimal digits are an iPhone's.
        token = secrets.token_hex(32)
        device = {"deviceId": f"smoke-{token[:8]}", "deviceName": "smoke test", "pushToken": token}
        session = self._call("/auth/login", {"email": self.email, "password": self.password} | device)
        bearer = str(session["tokens"]["accessToken"])
        summary = f"Smoke test {token[:8]}"
        begun = time.monotonic()
        self.pager(["alert", "send", summary, "--priority", "critical", "--source", "smoke"])
        push = self._until(lambda: [one for one in self.pushes() if one["deviceToken"] == token])[0]
        took = time.monotonic() - begun
        incidents = self._call("/incidents?limit=100", None, bearer)["incidents"]
        (incident,) = [one for one in incidents if one["title"] == summary]
        answer = self._call(f"/incidents/{incident['id']}/acknowledge", {}, bearer)
        if answer["incident"]["status"] != "acknowledged":
            raise AssertionError(f"the incident is {answer['incident']['status']}")
        return f"paged through {push['provider']} after {took:.1f} s, and acknowledged"

    def _call(self, path: str, body: object, bearer: str | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - a URL of ours
            f"{self.gateway}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"} | ({"authorization": f"Bearer {bearer}"} if bearer else {}),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def _until(self, look: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        deadline = time.monotonic() + SECONDS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no push within {SECONDS:.0f} s")
            time.sleep(0.2)
        return found


def compose(*arguments: str) -> bytes:
    """`docker compose` in this folder."""
    return subprocess.run(
        ("docker", "compose", *arguments), cwd=FOLDER, check=True, stdout=subprocess.PIPE, timeout=120
    ).stdout


def main() -> int:
    """Exit code 1 with a line on stderr when something is missing."""
    smoke = Smoke(
        gateway="http://127.0.0.1:3000",
        email=(FOLDER / "secrets" / "admin-email").read_text(encoding="utf-8").strip(),
        password=(FOLDER / "secrets" / "admin-password").read_text(encoding="utf-8").strip(),
        pager=lambda arguments: compose("run", "--rm", "--no-TTY", "sender", *arguments),
        pushes=lambda: json.loads(compose("exec", "-T", "simulator", "python", "-c", _READ_PUSHES)),
    )
    try:
        sys.stdout.write(f"{smoke.run()}\n")
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"smoke test failed: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
