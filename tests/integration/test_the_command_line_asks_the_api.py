"""`pager review` and `pager tail --incidents` ask the API as whoever has a key, and show what it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from libs.chassis.testing.deadline import in_time
from tests.command import Pager, pager_of
from tests.world import World


@pytest.fixture
async def key(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """An admin's, in the environment of every command from here on, beside where the gateway is."""
    scopes = ["incidents.list", "incidents.read", "incidents.write", "people.read"]
    made = await world.admin.call("POST", "/api-keys", {"name": "shell", "scopes": scopes})
    found = str(made.data["apiKey"]["key"])
    monkeypatch.setenv("PAGER_API_KEY", found)
    monkeypatch.setenv("PAGER_PUBLIC_URL", world.gateway.url)
    return found


async def _made(world: World, title: str, **fields: Any) -> tuple[str, str]:
    """Its id and its number."""
    made = await world.admin.call("POST", "/incidents", {"title": title, **fields})
    await world.settle()
    return str(made.data["incident"]["id"]), str(made.data["incident"]["number"])


@pytest.mark.usefixtures("key")
async def test_a_review_is_begun_changed_and_shown(world: World, pager: Pager, tmp_path: Path) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    incident, number = await _made(world, "db down")
    code, said = await pager("review", "draft", incident)
    assert (code, "CONFLICT" in said) == (1, True), said
    assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {})).status == 200
    await world.settle()
    code, found = await pager("review", "draft", number)
    assert (code, found["review"]["incidentId"]) == (0, incident), found
    text = tmp_path / "why.md"
    text.write_text(f"# Why\n\n\x1b[31mAsk {ana.user_id}.\n")
    code, found = await pager("review", "change", number, "--text", str(text), "--add", "Alert earlier")
    assert (code, found["review"]["text"]) == (0, text.read_text()), found
    code, found = await pager("review", "change", number, "--done", "1", "--add", "Tell others", "--publish")
    assert [(one["text"], one["done"]) for one in found["review"]["actionItems"]] == [
        ("Alert earlier", True),
        ("Tell others", False),
    ]
    assert found["review"]["published"] is True
    code, shown = await pager("review", "show", incident, asked="")
    assert code == 0, shown
    assert "\x1b" not in shown, "what people write is shown, and never obeyed"
    assert "\\x1b[31mAsk Ana" in shown, "people have names"
    code, said = await pager("review", "change", number, "--done", "3")
    assert (code, "no action item 3, but 2" in said) == (2, True), said


async def test_what_becomes_of_incidents_is_told_until_ctrl_c(world: World, key: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "tail", "--incidents", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | {"PAGER_HOME": str(tmp_path)}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with in_time():
        ready = json.loads(await process.stdout.readline())
        assert ready["type"] == "ready"
        incident, _ = await _made(world, "db down", priority="low")
        frame = ready
        while frame["type"] != "IncidentCreated":
            frame = json.loads(await process.stdout.readline())
        assert (frame["incident"]["id"], bool(frame["position"])) == (incident, True)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.parametrize(("more", "ends", "says"), [("x", 1, "UNAUTHENTICATED"), ("ü", 2, "PAGER_API_KEY")])
async def test_a_key_that_is_none_is_named(
    world: World, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, ends: int, says: str
) -> None:
    monkeypatch.setenv("PAGER_API_KEY", f"{key}{more}")
    code, said = await pager_of(world, tmp_path)("review", "show", "0198f3a1-7c42-7d31-9a55-3f2b6c1d8e90")
    assert (code, says in said) == (ends, True), said
