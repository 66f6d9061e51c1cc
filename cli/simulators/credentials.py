"""The credentials that the product uses against the simulators: an APNs key, an FCM service account, a VAPID key."""

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from joserfc.jwk import ECKey, RSAKey

from cli.simulators.files import write_private

SERVICE_ACCOUNT = "fcm-service-account.json"
PROJECT = "pager-simulator"
CLIENT_EMAIL = f"pager@{PROJECT}.iam.gserviceaccount.com"
TOPIC = "org.example.pager"
VAPID_KEY = "vapid.pem"
VAPID_SUBJECT = "mailto:operators@example.org"
_MAC_KEY = "oauth.key"
_BROWSERS_KEY = "browsers.key"
_IDENTITY = "apns.json"
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class ApnsIdentity:
    """What Apple's developer site would give: 10-character key and team ids, and the app's bundle id."""

    key_id: str
    team_id: str
    topic: str


def _ten() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


def apns_identity(home: Path) -> tuple[ApnsIdentity, Path]:
    """The identity kept in `home` and its `.p8` key file; both are made at the first call."""
    path = home / _IDENTITY
    if not path.exists():
        write_private(path, json.dumps(asdict(ApnsIdentity(_ten(), _ten(), TOPIC))).encode())
    identity = ApnsIdentity(**json.loads(path.read_bytes()))
    key_file = home / f"AuthKey_{identity.key_id}.p8"
    if not key_file.exists():
        write_private(key_file, ECKey.generate_key("P-256").as_pem(private=True))
    return identity, key_file


def apns_key(key_file: Path) -> ECKey:
    """The key that provider tokens are verified with."""
    return ECKey.import_key(key_file.read_bytes())


def service_account(home: Path, token_url: str) -> tuple[RSAKey, Path]:
    """The key of the service account and its credentials file, whose `token_uri` is kept at `token_url`."""
    path = home / SERVICE_ACCOUNT
    if path.exists():
        document = json.loads(path.read_bytes())
    else:
        document = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": secrets.token_hex(20),
            "private_key": RSAKey.generate_key(2048).as_pem(private=True).decode(),
            "client_email": CLIENT_EMAIL,
            "client_id": str(secrets.randbelow(10**21)),
        }
    if document.get("token_uri") != token_url:
        document["token_uri"] = token_url
        write_private(path, json.dumps(document, indent=2).encode())
    return RSAKey.import_key(document["private_key"]), path


def vapid_key(home: Path) -> Path:
    """The file of the key by which push services would know the product; it is made at the first call."""
    path = home / VAPID_KEY
    if not path.exists():
        write_private(path, ECKey.generate_key("P-256").as_pem(private=True))
    return path


def browsers_secret(home: Path) -> bytes:
    """What the keys of simulated browsers are made of."""
    return _secret(home / _BROWSERS_KEY)


def oauth_secret(home: Path) -> bytes:
    """The key of the MAC in access tokens."""
    return _secret(home / _MAC_KEY)


def _secret(path: Path) -> bytes:
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()
