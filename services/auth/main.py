"""The composition root of auth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.parts import Answers, Engine, Parts, Runtime
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import load_or_exit
from services.auth.api import api
from services.auth.attempts import Attempts
from services.auth.consumers import consumers
from services.auth.guesses import Guesses
from services.auth.password_change import PasswordChanges
from services.auth.passwords import Passwords
from services.auth.projections import project
from services.auth.registration import Registration
from services.auth.settings import Settings
from services.auth.sign_in import SignIns
from services.auth.signing_keys import Seal, SigningKeys, guesses_key, refresh_key
from services.auth.tokens import AccessTokens


@dataclass
class Accounts(Engine):
    """A first start makes the key that signs tokens and the first admin."""

    settings: Settings
    keys: SigningKeys
    registration: Registration
    sign_ins: SignIns

    async def prepare(self) -> None:
        await self.keys.prepare()
        password = self.settings.admin_password
        await self.registration.first_admin(
            self.settings.admin_email, password.get_secret_value() if password is not None else None
        )

    async def close(self) -> None:
        await self.sign_ins.close()


def build(runtime: Runtime) -> Parts:
    settings = cast("Settings", runtime.settings)
    passwords = Passwords(settings.bcrypt_rounds)
    master_key = settings.master_key.get_secret_value()
    keys = SigningKeys(runtime.rpc, Seal(master_key))
    registration = Registration(runtime.rpc, passwords)
    access = AccessTokens(keys.current, settings.jwt_access_expires)
    attempts = Attempts(runtime.rpc, passwords, Guesses(guesses_key(master_key)))
    changes = PasswordChanges(
        store=runtime.rpc,
        passwords=passwords,
        attempts=attempts,
        access=access,
        clock=runtime.clock,
        refresh_lifetime=settings.jwt_refresh_expires,
    )
    sign_ins = SignIns(
        store=runtime.rpc,
        passwords=passwords,
        attempts=attempts,
        access=access,
        clock=runtime.clock,
        refresh_lifetime=settings.jwt_refresh_expires,
        refresh_key=refresh_key(master_key),
    )
    return Parts(
        Answers(api(sign_ins, registration, changes, keys.public), keys.public, sign_ins),
        reads=runtime.follow(consumers()),
        engines=(Accounts(settings, keys, registration, sign_ins),),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    """One replica; `clock` is moved by tests."""
    return Service("auth", settings, clock or SystemClock(), project, build)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
