"""What `npm run sync` puts into the shells is made for them: a phone serves it at /, and has no service worker."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

MOBILE = Path(__file__).parents[2]


def test_the_shells_get_the_app_as_they_serve_it(tmp_path: Path) -> None:
    sync = json.loads((MOBILE / "package.json").read_text("utf-8"))["scripts"]["sync"]
    build, _, then = sync.partition(" && ")
    assert then == "cap sync"
    command = ["node", "node_modules/vite/bin/vite.js", *build.split()[1:], "--outDir", str(tmp_path / "made")]
    built = subprocess.run(command, cwd=MOBILE, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "made/index.html").read_text("utf-8")
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert asked
    assert all((tmp_path / f"made{path}").is_file() for path in asked), asked
    assert not (tmp_path / "made/sw.js").exists()
