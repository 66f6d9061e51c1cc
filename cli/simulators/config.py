"""What a start of the simulators takes and what it gives to the notifier."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cli.simulators.files import write_private

ENVIRONMENT_FILE = "simulator.json"


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """`port` 0 means the one of the last start, else any free; `capacity` and `max_bytes` bound the record.

    `max_token_updates`: see ProviderTokens. `first_streams`: concurrent streams that APNs announces before
    the first good token. `seed` makes the choices of a rule's `fraction` repeatable.
    """

    home: Path
    port: int = 0
    apns_port: int = 0
    capacity: int = 500_000
    max_bytes: int = 1 << 30
    max_token_updates: int = 30
    first_streams: int = 1
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class SimulatorEnvironment:
    """Where the simulators are and the credentials for them; paths are absolute."""

    url: str
    fcm_credentials_file: str
    fcm_url: str
    fcm_token_url: str
    apns_key_file: str
    apns_key_id: str
    apns_team_id: str
    apns_topic: str
    apns_url: str
    apns_ca_file: str
    vapid_key_file: str
    vapid_subject: str
    web_push_hosts: str

    def variables(self) -> dict[str, str]:
        """The notifier's environment: `PAGER_FCM_*`, `PAGER_APNS_*`, `PAGER_VAPID_*` and `PAGER_WEB_PUSH_HOSTS`."""
        return {f"PAGER_{name.upper()}": value for name, value in asdict(self).items() if name != "url"}

    def write(self, home: Path) -> None:
        """Leave `simulator.json` for other processes."""
        write_private(home / ENVIRONMENT_FILE, json.dumps(asdict(self), indent=2).encode())

    @classmethod
    def read(cls, home: Path) -> Self:
        """What the simulators of `home` wrote; raises FileNotFoundError before their first start."""
        return cls(**json.loads((home / ENVIRONMENT_FILE).read_bytes()))
