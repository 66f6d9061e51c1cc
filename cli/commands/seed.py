"""`pager seed`: two people with phones, through the HTTP API."""

import asyncio
from dataclasses import dataclass
from typing import Any

from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.demo.seeding import PEOPLE, Seeded, Seeding, settled
from cli.reach import bus
from cli.reach.api import Api
from cli.reach.running import operator_url, run_of
from cli.settings import Settings
from cli.stack import secrets_file
from cli.stack.secrets_file import Secrets

DEVICE = "pager-cli"


@dataclass(frozen=True)
class SeedResult:
    """What was seeded, with the passwords that the home keeps."""

    seeded: Seeded
    passwords: dict[str, str]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        people = [
            {
                "id": self.seeded.user_ids[person.email],
                "name": person.name,
                "email": person.email,
                "password": self.passwords[person.email],
                "deviceId": person.device_id,
                "deviceName": person.device_name,
                "pushToken": person.push_token,
                "accessToken": self.seeded.access_tokens[person.email],
            }
            for person in PEOPLE
        ]
        return {"people": people, "changed": list(self.seeded.changed)}


def seed_passwords(settings: Settings) -> dict[str, str]:
    """Of the seeded people, made at the first seeding and kept in the home."""
    known = secrets_file.stored(settings.home)
    passwords = {p.email: known.get(f"password:{p.email}") or secrets_file.new_password() for p in PEOPLE}
    secrets_file.remember(settings.home, **{f"password:{email}": word for email, word in passwords.items()})
    return passwords


async def seed_stack(settings: Settings, secrets: Secrets, url: str, nats_url: str, minutes: float) -> SeedResult:
    """Sign in as the admin, seed, and wait until every service knows. Raises `Failure`."""
    passwords = seed_passwords(settings)
    async with Api(url) as api:
        admin = await api.sign_in(secrets.admin_email, secrets.admin_password, DEVICE, deviceName="pager seed")
        seeded = await Seeding(api.of(admin["tokens"]["accessToken"]), passwords, minutes).run()
    async with bus.connected(nats_url) as client:
        await settled(client)
    return SeedResult(seeded, passwords)


def seed(settings: Settings, minutes: float, *, as_json: bool) -> None:
    """Seed the stack that runs. Raises `Failure`."""
    if not 0 < minutes <= 10_080:
        raise Failure("--minutes: must be above 0 and at most 10080 (a week)", USAGE)
    run = run_of(settings)
    secrets = secrets_file.load_or_make(settings.home, settings.environment)
    result = asyncio.run(seed_stack(settings, secrets, str(run["gateway"]), operator_url(settings), minutes))
    if as_json:
        print_json(result.document())
        return
    out = console()
    rows = [(p.name, p.email, result.passwords[p.email], p.device_name, p.push_token[:16] + "…") for p in PEOPLE]
    out.print(table("Seeded people", ("name", "e-mail", "password", "phone", "push token"), rows))
    out.print(f"{PEOPLE[0].name} is on call; after {minutes:g} min {PEOPLE[1].name} is paged.", markup=False)
    out.print(f"changed: {', '.join(result.seeded.changed) or 'nothing, it was seeded already'}", markup=False)
