"""People's accounts, as whoever runs the database may change them: beside a running auth, and without one."""

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from cli.console.failure import USAGE, Failure
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.clock import SystemClock
from libs.chassis.store.store import Store
from libs.contracts.envelope import Actor
from libs.contracts.requests import Rejected
from services.auth import application
from services.auth.credentials import credentials_by_email
from services.auth.passwords import Passwords, about
from services.auth.projections import project

OPERATOR = Actor.service("operator")
"""Whoever may open the database; nobody knows who that is."""


async def reset_password(settings: Settings, email: str, password: str) -> int:
    """Decide it as auth would, in the role of auth; how many sessions have ended.

    A running auth, and every other service, learns of it from the log within a second.

    Raises:
        Failure: nobody has this address, the password is not good enough, or the database refuses.
        StartError: PostgreSQL cannot be started.
    """
    async with database_door(settings, "auth") as url:
        store = Store(
            url, "auth", clock=SystemClock(), projector=project, instance="cli", role="command", connections=1
        )
        passwords = Passwords()
        try:
            known = await store.read(lambda work: credentials_by_email(work, email))
            await passwords.check(password, about(known.user))
            hashed = await passwords.hash(password, (known.password_hash, *known.former))
            done = await store.transact(
                lambda work: application.reset_password(work, known, hashed, work.begin(OPERATOR))
            )
        except Rejected as error:
            raise Failure(str(error), USAGE) from None
        except (psycopg.Error, SQLAlchemyError, OSError) as error:
            raise Failure(f"PostgreSQL: {error}") from None
        finally:
            passwords.close()
            store.close()
    return done.result
