"""Secrets of an installation that no server needs: the master key, the first admin and the seeded people."""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cli.console.failure import USAGE, Failure
from cli.embedded.files import alone_in, write_private
from cli.embedded.home import Home
from cli.settings import DEFAULT_ADMIN, value_of
from libs.contracts.addresses import one_address

FILE_NAME: Final = "secrets.json"
_SHOWN: Final = "adminPasswordShown"
_MASTER: Final = "masterKey"
_PREVIOUS: Final = "masterKeyPrevious"
_SEALING: Final = "SealingKey"
_SEALING_BEFORE: Final = "SealingKeyPrevious"
KEEP_KEYS: Final = ("oncall", "incidents", "escalation", "notifier")
"""Services that keep keys of persons themselves, each under a key of its own."""
MASTER_KEY_BYTES: Final = 32
"""AES-256."""


@dataclass(frozen=True)
class Secrets:
    """`first`: the admin's password was made just now; `made_here`: by us, and kept; `shown`: somebody has seen it."""

    master_key: str = field(repr=False)
    admin_email: str
    admin_password: str = field(repr=False)
    previous_master_key: str | None = field(default=None, repr=False)
    """The one before, until nothing is sealed by it any more."""
    first: bool = False
    made_here: bool = False
    shown: bool = False
    sealing_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By service, under which those keep the keys of persons that need some."""
    previous_sealing_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those before, while they are replaced."""


def stored(home: Home) -> dict[str, str]:
    """What the file holds; empty before the first start. Raises `Failure` where it cannot be used."""
    path = home.path / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Failure(f"PAGER_HOME: cannot read {path}: {error.strerror}; run as the home's owner") from None
    except ValueError:
        document = None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        # `from None` and no quotation: the text is full of secrets.
        raise Failure(f"PAGER_HOME: {path} is not what Pager wrote; restore it from a backup") from None
    return document


def remember(home: Home, **values: str) -> None:
    """Keep values in the file (mode 0600), beside what it holds."""
    if values.items() <= stored(home).items():
        return
    with alone_in(home.path):
        _write(home, stored(home) | values)


def _write(home: Home, values: Mapping[str, str]) -> None:
    write_private(home.path / FILE_NAME, json.dumps(values, indent=2) + "\n", *home.owner)


def load_or_make(home: Home, environment: Mapping[str, str]) -> Secrets:
    """The environment's values, else those of the file, else new ones, which are kept in the file.

    Values from the environment are not written: whoever keeps them elsewhere wants one place.
    """
    known = stored(home)
    made: dict[str, str] = {}

    def choose(setting: str, name: str, make: str) -> str:
        value = value_of(environment, setting) or known.get(name)
        if value is None:
            made[name] = value = make
        return value

    keys = stored_sealing_keys(known)
    result = Secrets(
        master_key=choose("PAGER_MASTER_KEY", _MASTER, new_key()),
        previous_master_key=master_keys(home, environment)[1],
        admin_email=choose("PAGER_ADMIN_EMAIL", "adminEmail", DEFAULT_ADMIN),
        admin_password=choose("PAGER_ADMIN_PASSWORD", "adminPassword", new_password()),
        first="adminPassword" in made,
        made_here=value_of(environment, "PAGER_ADMIN_PASSWORD") is None,
        shown=_SHOWN in known,
        sealing_keys=keys,
        previous_sealing_keys={
            service: known[name] for service in KEEP_KEYS if (name := f"{service}{_SEALING_BEFORE}") in known
        },
    )
    remember(home, **made, **of_sealing_keys(keys))
    return result


def stored_sealing_keys(known: Mapping[str, str]) -> dict[str, str]:
    """By service, what the file holds; what is missing is made."""
    return {service: known.get(f"{service}{_SEALING}") or new_key() for service in KEEP_KEYS}


def of_sealing_keys(keys: Mapping[str, str]) -> dict[str, str]:
    """As the file holds them."""
    return {f"{service}{_SEALING}": key for service, key in keys.items()}


def master_keys(home: Home, environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The present one and the one before; the file's previous one goes with the file's present one only."""
    given, before = (value_of(environment, name) for name in ("PAGER_MASTER_KEY", "PAGER_MASTER_KEY_PREVIOUS"))
    known = stored(home)
    return given or known.get(_MASTER), before or (None if given else known.get(_PREVIOUS))


def replace_master_key(home: Home) -> bool:
    """Put a new master key in the place of the present one, which is kept beside it; False: there is one already.

    Both are on disk when this returns, so that nothing is ever sealed by a key that a power cut may take.
    """
    if _MASTER not in stored(home):  # before the folder is asked for, which a mistyped home has not
        raise Failure(f"PAGER_HOME: {home.path} keeps no master key: nothing has started there", USAGE)
    with alone_in(home.path):
        known = stored(home)
        if _PREVIOUS in known:
            return False
        _write(home, known | {_PREVIOUS: known[_MASTER], _MASTER: new_key()})
        return True


def forget_previous_master_key(home: Home) -> None:
    """Nothing is sealed by it any more."""
    with alone_in(home.path):
        known = stored(home)
        if _PREVIOUS in known:
            _write(home, {name: value for name, value in known.items() if name != _PREVIOUS})


def replace_sealing_keys(home: Home) -> bool:
    """Put a new one in the place of each service's, which is kept beside it; False: there are some already."""
    if _MASTER not in stored(home):
        raise Failure(f"PAGER_HOME: {home.path} keeps no secrets: nothing has started there", USAGE)
    with alone_in(home.path):
        known = stored(home)
        if any(f"{service}{_SEALING_BEFORE}" in known for service in KEEP_KEYS):
            return False
        present = {service: known[name] for service in KEEP_KEYS if (name := f"{service}{_SEALING}") in known}
        before = {f"{service}{_SEALING_BEFORE}": key for service, key in present.items()}
        _write(home, known | before | of_sealing_keys({service: new_key() for service in present}))
        return True


def forget_previous_sealing_keys(home: Home) -> bool:
    """Nothing is sealed by them any more; False: there were none."""
    with alone_in(home.path):
        known = stored(home)
        kept = {name: value for name, value in known.items() if not name.endswith(_SEALING_BEFORE)}
        if kept == known:
            return False
        _write(home, kept)
        return True


def remember_shown(home: Home) -> None:
    """Somebody has seen the admin's password: from now on it is only said where it is."""
    remember(home, **{_SHOWN: "yes"})


def admin_email(home: Home, environment: Mapping[str, str]) -> str:
    """The first admin's address. Raises `Failure`."""
    return value_of(environment, "PAGER_ADMIN_EMAIL") or stored(home).get("adminEmail", DEFAULT_ADMIN)


def remember_password(home: Home, email: str, password: str, *, is_admin: bool) -> None:
    """A password that was reset, where an older one is kept: the admin's, those of `pager seed`. Raises `Failure`."""
    known = stored(home)
    for name in (f"password:{one_address(email)}", *(("adminPassword",) if is_admin else ())):
        if name in known:
            remember(home, **{name: password})


def new_key() -> str:
    """A master key: 32 random bytes in URL-safe base64, with padding."""
    return urlsafe_b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode("ascii")


def new_password() -> str:
    """A password that meets the specification's rules (letters of both cases, a digit, a special character)."""
    return f"{secrets.token_urlsafe(18)}-Aa1"
