"""Seeds a stack that runs: as its admin, with passwords that its home keeps."""

from dataclasses import dataclass, field
from typing import Any

from cli.demo.crew import NAME, Crew
from cli.demo.seeding import PEOPLE, Seeded, Seeding, settled
from cli.reach import bus
from cli.reach.api import api_of
from cli.settings import Settings
from cli.stack import secrets_file
from cli.stack.secrets_file import Secrets

DEVICE = "pager-cli"


@dataclass(frozen=True)
class SeedResult:
    """What was seeded, with the passwords that the home keeps."""

    seeded: Seeded
    passwords: dict[str, str]
    routing_key: str | None = field(repr=False)
    """Of the team's integration; None: the home does not keep it."""

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
        crew = self.seeded.crew
        owned = {"id": crew.team, "name": NAME, "policyId": crew.policy, "integrationId": crew.integration}
        return {
            "people": people,
            "team": owned | {"routingKey": self.routing_key},
            "changed": list(self.seeded.changed),
        }


def seed_passwords(settings: Settings) -> dict[str, str]:
    """Of the seeded people, made at the first seeding and kept in the home."""
    known = secrets_file.stored(settings.home)
    passwords = {p.email: known.get(f"password:{p.email}") or secrets_file.new_password() for p in PEOPLE}
    secrets_file.remember(settings.home, **{f"password:{email}": word for email, word in passwords.items()})
    return passwords


async def seed_stack(settings: Settings, secrets: Secrets, url: str, nats_url: str, minutes: float) -> SeedResult:
    """Sign in as the admin, seed, and wait until every service knows. Raises `Failure`."""
    passwords = seed_passwords(settings)
    async with api_of(url) as api:
        await api.sign_in(secrets.admin_email, secrets.admin_password, DEVICE, deviceName="pager seed")
        seeded = await Seeding(api, passwords, minutes).run()
    async with bus.connected(nats_url) as client:
        await settled(client)
    return SeedResult(seeded, passwords, _kept_key(settings, seeded.crew))


def _kept_key(settings: Settings, crew: Crew) -> str | None:
    """The API shows it once, to whoever has the integration made: the home keeps it."""
    name = f"routingKey:{crew.integration}"
    if crew.routing_key is not None:
        secrets_file.remember(settings.home, **{name: crew.routing_key})
    return secrets_file.stored(settings.home).get(name)
