"""Making accounts: by an admin, and the first admin's at the first start."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4, uuid5

import structlog

from libs.chassis.settings import SettingsError
from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Work
from libs.contracts.addresses import one_address
from libs.contracts.auth import RegisterUser, UserView
from libs.contracts.defaults import PAGER
from libs.contracts.model import Role
from services.auth import application, entities, team_room
from services.auth.credentials import credentials_of
from services.auth.domain import users
from services.auth.passwords import Passwords
from services.auth.queries import ADMINS

_log = structlog.get_logger()


def admin_id(email: str) -> UUID:
    """The first admin's id, known from the address alone; the same however its letters are written."""
    return uuid5(PAGER, f"user/{one_address(email)}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A person to register, with everything that takes time done."""

    command: users.RegisterUser
    password_hash: str = field(repr=False)
    team_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Registration:
    """Passwords are hashed before the transaction that stores them."""

    store: Store
    passwords: Passwords

    async def prepare(self, body: RegisterUser) -> Prepared:
        """Raises Invalid with the field at fault, or AddressTaken; neither is worth a hash. Or Busy."""
        command = users.RegisterUser(
            user_id=uuid4(),
            email=body.email,
            first_name=body.first_name,
            last_name=body.last_name,
            roles=body.roles,
            phone=body.phone,
            timezone=body.timezone,
        )
        users.decide(command, users.initial())
        if body.team_ids:
            teams = await self.store.read(lambda work: team_room.seen(work, body.team_ids))
            team_room.check_known(teams, body.team_ids)
        await self.passwords.check(body.password, (body.email, body.first_name, body.last_name))
        if await self.store.read(lambda work: credentials_of(work, body.email)) is not None:
            raise application.AddressTaken(field="email")
        with self.passwords.place():
            return Prepared(command, await self.passwords.hash(body.password), body.team_ids)

    def register(self, work: Work, prepared: Prepared, cause: Cause) -> UserView:
        """Raises AddressTaken, NoSuchTeam or TeamIsFull."""
        teams = team_room.held(work, prepared.team_ids)
        team_room.check_known(teams, prepared.team_ids)
        team_room.check_room(teams, prepared.team_ids)
        return application.register_person(work, prepared.command, prepared.password_hash, cause, teams)

    async def first_admin(self, email: str | None, password: str | None) -> None:
        """Make the admin of the settings unless the address has an account; its password is never changed here.

        Raises:
            SettingsError: there is no admin, and none to make, or only somebody who was erased.
        """
        if email is None or password is None:
            if not await self.store.read(lambda work: work.fetch(ADMINS)):
                raise SettingsError("PAGER_ADMIN_EMAIL: is needed until there is an admin")
            return
        if await self.store.read(lambda work: credentials_of(work, email)) is not None:
            return
        command = users.RegisterUser(
            user_id=admin_id(email),
            email=email,
            first_name="Pager",
            last_name="Admin",
            roles=(Role.ADMIN, Role.USER),
        )
        hashed = await self.passwords.hash(password)
        # Another replica that starts now makes the same id: the slower one then decides nothing.
        made = await self.store.transact(
            lambda work: application.register_user(work, command, hashed, work.begin(entities.AUTH))
        )
        if not made.result and not await self.store.read(lambda work: work.fetch(ADMINS)):
            raise SettingsError("PAGER_ADMIN_EMAIL: there is no admin left, and this one was erased: name another one")
        if made.result:
            _log.info("the first admin is registered", user_id=str(command.user_id))
