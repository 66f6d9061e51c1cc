"""`python -m tests.fuzz [--seconds 300] [options of st run]`: a Pager of its own, attacked from its OpenAPI document.

It starts on free ports in a folder that is removed at the end. Exit 0: nothing was found.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench.stack import running_pager
from cli.embedded import Home
from cli.stack import secrets_file

_HERE = Path(__file__).resolve().parent


async def fuzz(seconds: int, options: list[str]) -> int:
    """The exit code of Schemathesis; what a service has logged comes after what was found."""
    async with running_pager(1) as pager:
        admin = secrets_file.load_or_make(pager.home, os.environ)
        told = {
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "PAGER_FUZZ_URL": str(pager.run["gateway"]),
            "PAGER_FUZZ_EMAIL": admin.admin_email,
            "PAGER_FUZZ_PASSWORD": admin.admin_password,
        }
        document = f"{pager.run['gateway']}/api/docs-json"
        command = ["st", "--config-file", str(_HERE / "schemathesis.toml"), "run", document]
        program = Path(sys.executable).parent / command[0]
        process = await asyncio.create_subprocess_exec(
            program, *command[1:], "--max-time", str(seconds), *options, env=os.environ | told
        )
        code = await process.wait()
    for log in sorted(pager.home.logs.glob("*.log")):
        found = [line for line in log.read_text(errors="replace").splitlines() if "request failed" in line]
        sys.stdout.writelines(f"{log.name}: {line}\n" for line in found[:20])
        code = code or bool(found)
    return int(code)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    arguments, options = parser.parse_known_args()
    home = Path(tempfile.mkdtemp(prefix="pager-fuzz-"))
    home.chmod(0o755)  # PostgreSQL runs as another user where we are root
    os.environ["PAGER_HOME"] = str(Home(home / "home").path)
    os.environ["PAGER_TRUSTED_PROXIES"] = "127.0.0.1"  # the admin signs in from elsewhere (hooks.py)
    try:
        sys.exit(asyncio.run(fuzz(arguments.seconds, options)))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
