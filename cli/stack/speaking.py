"""The API as whoever sits at the keyboard: with the key that they give, or as the admin whose home this is."""

import secrets as random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from cli.console.failure import USAGE, Failure
from cli.reach.api import api_of
from cli.reach.running import run_of
from cli.settings import Settings, value_of
from cli.stack import secrets_file
from pager_client import AsyncPager, PagerError, Unauthenticated

KEY_SETTING: Final = "PAGER_API_KEY"


@asynccontextmanager
async def speaking(settings: Settings) -> AsyncIterator[AsyncPager]:
    """Signed in while it lasts. Raises `Failure`."""
    key = value_of(settings.environment, KEY_SETTING)
    if key is not None and not (key.isascii() and key.isprintable()):
        raise Failure(f"{KEY_SETTING}: is no API key", USAGE)
    url = _url(settings, key)
    async with api_of(url, key) as api:
        if key is not None:
            yield api
            return
        secrets = secrets_file.load_or_make(settings.home, settings.environment)
        # A device has one session: a command that runs beside this one has another device.
        device = f"pager-cli-{random.token_hex(4)}"
        try:
            await api.sign_in(secrets.admin_email, secrets.admin_password, device, deviceName="pager")
        except Unauthenticated as refused:
            kept = f"{secrets.admin_email} cannot sign in with what {settings.home.path} keeps"
            raise Failure(f"{kept} ({refused.message}): give an API key in {KEY_SETTING}", USAGE) from None
        try:
            yield api
        finally:
            with suppress(PagerError):
                await api.sign_out()


def _url(settings: Settings, key: str | None) -> str:
    """Where the gateway is; with a key also one elsewhere. Raises `Failure`."""
    public = value_of(settings.environment, "PAGER_PUBLIC_URL")
    try:
        return str(run_of(settings)["gateway"])
    except Failure:
        if key is None or public is None:
            raise
        return public
