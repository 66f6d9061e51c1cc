"""A home's master key is replaced by two writes of its file, whoever dies between them."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli.console.failure import Failure
from cli.embedded import Home
from cli.settings import Settings
from cli.stack.examination import Level, judge_keys
from cli.stack.master_key import replace_master_key
from cli.stack.renewing import Renewing
from cli.stack.secrets_file import forget_previous_master_key, load_or_make, master_keys, remember
from cli.stack.secrets_file import replace_master_key as replace_in_file

OLD = "o" * 40


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    (tmp_path / "secrets.json").write_text(json.dumps({"masterKey": OLD, "adminEmail": "a@pager.test"}))
    return home


def kept(home: Home) -> dict[str, Any]:
    return dict(json.loads((home.path / "secrets.json").read_text()))


def test_the_new_key_stands_beside_the_old_one_until_that_is_forgotten(home: Home) -> None:
    assert replace_in_file(home)
    present, previous = master_keys(home, {})
    assert previous == OLD
    assert present not in (OLD, None)
    assert not replace_in_file(home), "one at a time: a second one would lose the first"
    assert master_keys(home, {}) == (present, OLD)
    secrets = load_or_make(home, {})
    assert (secrets.master_key, secrets.previous_master_key) == (present, OLD)
    assert OLD not in repr(secrets)
    forget_previous_master_key(home)
    forget_previous_master_key(home)
    assert master_keys(home, {}) == (present, None)
    assert kept(home)["adminEmail"] == "a@pager.test"
    assert (home.path / "secrets.json").stat().st_mode & 0o077 == 0


def test_a_key_that_is_given_has_no_previous_one_of_the_file(home: Home) -> None:
    assert replace_in_file(home)
    assert master_keys(home, {"PAGER_MASTER_KEY": "g" * 40}) == ("g" * 40, None)
    assert master_keys(home, {"PAGER_MASTER_KEY": "g" * 40, "PAGER_MASTER_KEY_PREVIOUS": OLD}) == ("g" * 40, OLD)


@pytest.mark.parametrize("path", ["not-there", "a-file", "."])
def test_a_home_that_is_none_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(Failure, match="PAGER_HOME"):
        replace_in_file(Home(tmp_path / path))
    assert [one.name for one in tmp_path.iterdir()] == ["a-file"]


DYING = """
import os, sys
from cli.embedded import Home, files
from cli.stack import secrets_file
step = sys.argv[2]
def die(*_, **__):
    os._exit(9)
import pathlib
{"fdopen": lambda: setattr(os, "fdopen", die), "fsync": lambda: setattr(os, "fsync", die),
 "replace": lambda: setattr(pathlib.Path, "replace", die), "names": lambda: setattr(files, "_keep_names", die)}[step]()
home = Home(sys.argv[1])
getattr(secrets_file, sys.argv[3])(home)
"""


@pytest.mark.parametrize("step", ["fdopen", "fsync", "replace", "names"])
def test_whoever_dies_while_writing_leaves_all_keys_and_the_next_one_goes_on(home: Home, step: str) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(home.path), step, "replace_master_key"], check=False)
    assert done.returncode == 9
    present, previous = master_keys(home, {})
    assert OLD in (present, previous)
    replace_in_file(home)
    present, previous = master_keys(home, {})
    assert previous == OLD
    forgetting = [sys.executable, "-c", DYING, str(home.path), step, "forget_previous_master_key"]
    assert subprocess.run(forgetting, check=False).returncode == 9
    assert master_keys(home, {})[0] == present
    forget_previous_master_key(home)
    assert master_keys(home, {}) == (present, None)


def test_two_at_once_make_one_key_and_lose_nothing_that_others_keep(home: Home) -> None:
    """As `pager admin reset-password` beside it."""
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(replace_in_file, home) for _ in range(4)]
        for number in range(20):
            threads.submit(remember, home, **{f"password:{number}": "x"}).result()
        assert sum(one.result() for one in made) == 1
    assert master_keys(home, {})[1] == OLD
    assert len(kept(home)) == 3 + 20


async def test_while_nothing_runs_a_key_is_made_once_and_the_old_one_stays(home: Home) -> None:
    settings = Settings.from_environment({"PAGER_HOME": str(home.path)})
    assert not (await replace_master_key(settings)).finished
    with pytest.raises(Failure, match="may still be needed: start Pager"):
        await replace_master_key(settings)
    assert master_keys(home, {})[1] == OLD


async def test_a_key_that_is_kept_elsewhere_is_replaced_there(home: Home) -> None:
    before = kept(home)
    for name in ("PAGER_MASTER_KEY", "PAGER_MASTER_KEY_PREVIOUS"):
        settings = Settings.from_environment({"PAGER_HOME": str(home.path), name: "g" * 40})
        with pytest.raises(Failure, match=f"{name} is set"):
            await replace_master_key(settings)
    with pytest.raises(Failure, match="keeps no master key"):
        await replace_master_key(Settings.from_environment({"PAGER_HOME": str(home.path.parent)}))
    assert kept(home) == before


async def test_auth_is_started_anew_for_another_key_one_replica_after_the_other() -> None:
    class Enough(Exception):
        pass

    keys = iter([("a", ""), ("a", ""), ("b", "a"), ("b", "a"), ("b", ""), ("b", "")])
    done: list[str] = []

    def told() -> dict[str, str]:
        try:
            present, previous = next(keys)
        except StopIteration:
            raise Enough from None
        return {"PAGER_MASTER_KEY": present, "PAGER_MASTER_KEY_PREVIOUS": previous}

    async def renew(name: str) -> None:
        done.append(name)

    async def ready() -> None:
        done.append("ready")

    async def at_once(_seconds: float) -> None:
        return

    renewing = Renewing(told, lambda: ["auth", "auth-2"], renew, ready, lambda *_, **__: None, at_once)
    with pytest.raises(Enough):
        await renewing.run()
    assert done == ["auth", "ready", "auth-2", "ready"]


@pytest.mark.parametrize(
    ("others", "unreadable", "given", "level", "words"),
    [
        (0, 0, False, Level.GOOD, "seals all"),
        (0, 0, True, Level.NOTE, "take PAGER_MASTER_KEY_PREVIOUS away"),
        (3, 0, True, Level.NOTE, "3 secrets are still"),
        (3, 2, True, Level.BAD, "2 secrets cannot be opened"),
        (3, 0, True, Level.NOTE, "when auth-2 has it too"),
    ],
)
def test_doctor_says_when_the_previous_master_key_may_go(
    others: int, unreadable: int, given: bool, level: Level, words: str
) -> None:
    told = {
        "keys": [{"use": "signing", "kid": "k", "notBefore": "2026-03-02T09:00:00Z"}],
        "nextRotation": "2026-04-01T08:45:00Z",
        "masterKey": {"name": "n", "sealedByOthers": others, "unreadable": unreadable, "waitsFor": ["auth-2"]},
        "previousGiven": given,
    }
    signing, master = judge_keys(told)
    assert (signing.verdict, signing.detail) == (Level.GOOD, "signs since 2026-03-02; the next one: 2026-04-01")
    assert (master.verdict, words in master.detail) == (level, True), master.detail
