"""People's accounts, as whoever runs the database may change them: beside a running auth, and without one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from cli.console.failure import USAGE, Failure
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.clock import SystemClock
from libs.chassis.settings import SettingsError
from libs.chassis.store.roll_call import RollCall
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.envelope import Actor
from libs.contracts.requests import Rejected
from services.auth import application
from services.auth.credentials import credentials_by_email
from services.auth.lost_factors import take_away
from services.auth.passwords import Passwords, about
from services.auth.projections import project
from services.auth.sealed import Sealed
from services.auth.sealing import Seal
from services.auth.subject_keys import SubjectKeys

OPERATOR = Actor.service("operator")
"""Whoever may open the database; nobody knows who that is."""


MasterKeys = tuple[str | None, str | None]
"""The present one, by which people are found and read, and the one before."""


@asynccontextmanager
async def _accounts(settings: Settings, master_keys: MasterKeys) -> AsyncIterator[Store]:
    """Auth's store, in the role of auth.

    Raises:
        Failure: what is asked for is refused, by auth's rules or by the database; or the master key is missing, or is
            another one.
        StartError: PostgreSQL cannot be started.
    """
    present, previous = master_keys
    if present is None:
        raise Failure("PAGER_MASTER_KEY: is needed, as auth has it: addresses are found by it", USAGE)
    async with database_door(settings, "auth") as url:
        keyring = SubjectKeys(Seal(present, previous))
        store = Store(
            url,
            "auth",
            clock=SystemClock(),
            projector=project,
            instance="cli",
            role="command",
            connections=1,
            keyring=keyring,
        )
        given = (previous, present) if previous else (present,)
        sealed = Sealed(store, keyring.seal, SystemClock(), RollCall("auth", "cli", keyring.seal.names), given)
        keyring.look_up_key = sealed.look_up_key
        try:
            await sealed.prepare()
            yield store
            await sealed.close()
        except SettingsError as error:
            raise Failure(str(error), USAGE) from None
        except Rejected as error:
            raise Failure(str(error), USAGE) from None
        except (psycopg.Error, SQLAlchemyError, OSError) as error:
            raise Failure(f"PostgreSQL: {error}") from None
        finally:
            store.close()


async def take_second_factor(settings: Settings, master_keys: MasterKeys, email: str) -> int:
    """Let somebody who has lost their second factor sign in without one; how many sessions have ended.

    Raises:
        Failure: nobody has this address, or they have none, or the database refuses.
        StartError: PostgreSQL cannot be started.
    """
    async with _accounts(settings, master_keys) as store:

        def take(work: Work) -> int:
            known = credentials_by_email(work, email)
            return take_away(work, known.user.id, "taken away by the operator", work.begin(OPERATOR))

        return (await store.transact(take)).result


async def reset_password(settings: Settings, master_keys: MasterKeys, email: str, password: str) -> int:
    """Decide it as auth would, in the role of auth; how many sessions have ended.

    A running auth, and every other service, learns of it from the log within a second.

    Raises:
        Failure: nobody active has this address, the password is not good enough, or the database refuses.
        StartError: PostgreSQL cannot be started.
    """
    passwords = Passwords()
    try:
        async with _accounts(settings, master_keys) as store:
            known = await store.read(lambda work: credentials_by_email(work, email))
            if not known.user.is_active:
                raise Failure(
                    f"{known.user.email} is deactivated, and signs in with no password: reactivate them", USAGE
                )
            await passwords.check(password, about(known.user))
            hashed = await passwords.hash(password, (known.password_hash, *known.former))
            done = await store.transact(
                lambda work: application.reset_password(work, known, hashed, work.begin(OPERATOR))
            )
    finally:
        passwords.close()
    return done.result
