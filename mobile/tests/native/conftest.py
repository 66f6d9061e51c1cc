"""The plugin's pure Java, compiled against Android's own classes, where there is a JDK and Maven."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from places import HERE, JAVA, PLUGIN, lacking, text

ANDROID_ALL: Final = "org.robolectric:android-all:15-robolectric-12650502"
"""Android 15 itself, as Robolectric publishes it on Maven Central (Apache License 2.0): no stubs, so it also runs."""
LONGEST_FETCH: Final = 900
LONGEST_BUILD: Final = 300
_OLDEST_JDK: Final = 17


class Java:
    """Asks `Bridge`, a question at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, what: str, **more: Any) -> Any:
        """Raises ValueError, with its words, where the plugin refuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **more}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "refused" in answer:
            raise ValueError(answer["refused"])
        return answer["is"]


@pytest.fixture(scope="session")
def android() -> Path:
    """The jar of Android's classes."""
    for tool in ("javac", "java", "mvn"):
        if shutil.which(tool) is None:
            lacking(f"no {tool}: the plugin's Java is parsed and not compiled (a JDK of {_OLDEST_JDK} and Maven)")
    version = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    major = int(re.findall(r"\d+", version.stdout + version.stderr)[0])
    if major < _OLDEST_JDK:
        lacking(f"javac is of {major}: the plugin's Java is parsed and not compiled (a JDK of {_OLDEST_JDK})")
    local = _local_repository()
    group, name, release = ANDROID_ALL.split(":")
    jar = local / group.replace(".", "/") / name / release / f"{name}-{release}.jar"
    if not jar.exists():
        fetch = ["mvn", "-q", "-B", "dependency:get", "-Dtransitive=false", f"-Dartifact={ANDROID_ALL}"]
        got = subprocess.run(fetch, capture_output=True, text=True, timeout=LONGEST_FETCH, check=False)
        if got.returncode != 0:
            lacking(f"Maven could not fetch {ANDROID_ALL} (176 MB): {got.stdout[-200:]}")
    return jar


def _local_repository() -> Path:
    settings = Path.home() / ".m2/settings.xml"
    named = re.search(r"<localRepository>(.*?)</localRepository>", text(settings)) if settings.exists() else None
    return Path(named.group(1)) if named else Path.home() / ".m2/repository"


@pytest.fixture(scope="session")
def classes(android: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything compiled. What comes from Google's Maven repository and from Capacitor is a signature in `stubs`."""
    out = tmp_path_factory.mktemp("classes")
    generated = out / "R.java"
    generated.write_text(_resources(), encoding="utf-8")
    files = [*JAVA.glob("*.java"), *(HERE / "stubs").rglob("*.java"), *(HERE / "java").rglob("*.java"), generated]
    command = ["javac", "-nowarn", "-proc:none", "-d", str(out), "-cp", str(android)]
    built = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, timeout=LONGEST_BUILD, check=False
    )
    errors = [line for line in built.stderr.splitlines() if "error:" in line]
    assert (built.returncode, errors) == (0, []), "\n".join(errors)
    return out


def _resources() -> str:
    """`R` as the build would make it: only what is there has a name."""
    root = PLUGIN / "android/src/main/res"
    strings = re.findall(r'<string name="(\w+)"', text(root / "values/strings.xml"))
    kinds = {"string": strings} | {
        kind: sorted(path.stem for path in (root / kind).iterdir()) for kind in ("drawable", "raw")
    }
    inner = "".join(
        f"static final class {kind} {{ {' '.join(f'static final int {name} = 1;' for name in names)} }}\n"
        for kind, names in kinds.items()
    )
    return f"package dev.pager.alerts;\nfinal class R {{\n{inner}}}\n"


@pytest.fixture(scope="session")
def java(classes: Path, android: Path) -> Iterator[Java]:
    command = ["java", "-cp", f"{classes}:{android}", "dev.pager.alerts.Bridge"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as one:
        yield Java(one)
        assert one.stdin is not None
        one.stdin.close()
        one.wait(timeout=30)
