"""The specification's `ENABLE_…` of the gateway: each is read under its own name, and does what it says."""

from __future__ import annotations

import pytest

from services.gateway.settings import Settings
from services.gateway.tests import views as v
from services.gateway.tests.stubs import world

NATS = {"nats_url": "nats://gateway:x@localhost"}
SWITCHES = ("enable_audit_logging", "enable_rate_limiting", "enable_maintenance_mode")


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("says", [True, False])
def test_the_environment_says_whether_it_is_on(monkeypatch: pytest.MonkeyPatch, switch: str, *, says: bool) -> None:
    monkeypatch.setenv(switch.upper(), str(says).lower())
    assert getattr(Settings.load(**NATS), switch) is says


@pytest.mark.servers
@pytest.mark.parametrize("says", [True, False])
async def test_without_rate_limiting_nothing_is_counted_and_nothing_said(*, says: bool) -> None:
    async with world(enable_rate_limiting=says) as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("auth.me", v.USER_VIEW)
        answer = await pager.call("GET", "/api/v1/users/me")
        assert ("X-RateLimit-Remaining" in answer.headers) is says


@pytest.mark.servers
@pytest.mark.parametrize("says", [True, False])
async def test_without_audit_logging_no_request_is_kept(*, says: bool) -> None:
    async with world(enable_audit_logging=says) as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("auth.me", v.USER_VIEW)
        await pager.stubs.answer("auth.keep_accesses", {})
        await pager.call("GET", "/api/v1/users/me")
        await pager.gateway.front.access.tell()
        assert ("auth.keep_accesses" in pager.stubs.asked) is says
