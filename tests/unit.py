"""`python -m tests.unit [options of pytest]`: what needs no server and takes little, in two processes at once.

Halves rather than workers of pytest-xdist: there each imports and collects everything, and writes down for another
process what it does, which together takes as long as these tests. Exit 0: all have passed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_FIRST = {"services/gateway", "services/notifier", "tests/client"}
"""They take as long as all others."""
_OPTIONS = ("-m", "not servers and not thorough", "--hypothesis-profile=quick")


def halves() -> list[list[str]]:
    """The folders of each, from the root."""
    services = sorted(f"services/{folder.parent.name}" for folder in _ROOT.glob("services/*/tests"))
    every = [*services, "tests/client", "tests/flows", "libs"]
    return [[folder for folder in every if (folder in _FIRST) is first] for first in (True, False)]


def main(options: list[str]) -> int:
    """The first exit code that is not 0. One half is shown as it goes, the other one when both are through."""
    with tempfile.TemporaryFile() as written:
        shown, kept = (
            subprocess.Popen([sys.executable, "-m", "pytest", *_OPTIONS, *options, *half], cwd=_ROOT, stdout=to)
            for half, to in zip(halves(), (None, written), strict=True)
        )
        with suppress(KeyboardInterrupt):  # both are told as well, and say how far they came
            shown.wait()
        with suppress(KeyboardInterrupt):
            kept.wait()
        written.seek(0)
        sys.stdout.buffer.write(written.read())
    return shown.wait() or kept.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
