"""Making accounts: by an admin, and the first admin's at the first start."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4, uuid5

import structlog

from libs.chassis.settings import SettingsError
from libs.chassis.store import AlreadyTaken, Store
from libs.chassis.work import Cause
from libs.contracts.auth import RegisterUser, UserView
from libs.contracts.defaults import PAGER
from libs.contracts.model import Role
from libs.contracts.requests import Rejected
from services.auth import application
from services.auth.domain import users
from services.auth.passwords import Passwords, check_password
from services.auth.projections import ADMINS

_log = structlog.get_logger()


def admin_id(email: str) -> UUID:
    """The first admin's id, known from the address alone; the same however its letters are written."""
    return uuid5(PAGER, f"user/{email.lower()}")


@dataclass(frozen=True)
class Registration:
    """Passwords are hashed before the transaction that stores them."""

    store: Store
    passwords: Passwords

    async def register(self, body: RegisterUser, cause: Cause) -> UserView:
        """Raises Invalid with the field at fault, or Rejected (conflict) when the address has an account."""
        check_password(body.password)
        command = users.RegisterUser(
            user_id=uuid4(),
            email=body.email,
            first_name=body.first_name,
            last_name=body.last_name,
            roles=body.roles,
            phone=body.phone,
            timezone=body.timezone,
            team_ids=body.team_ids,
        )
        # What the rules refuse is not worth a hash.
        users.decide(command, users.initial())
        taken = Rejected("this address has an account already", field="email")
        if await self.store.read(lambda work: application.credentials_of(work, body.email)) is not None:
            raise taken
        hashed = await self.passwords.hash(body.password)
        try:
            await self.store.transact(lambda work: application.register_user(work, command, hashed, cause))
        except AlreadyTaken:
            raise taken from None
        return await self.store.read(lambda work: application.user(work, command.user_id))

    async def first_admin(self, email: str | None, password: str | None) -> None:
        """Make the admin of the settings unless the address has an account; its password is never changed here.

        Raises:
            SettingsError: there is no admin, and none to make.
        """
        if email is None or password is None:
            if not await self.store.read(lambda work: work.fetch(ADMINS)):
                raise SettingsError("PAGER_ADMIN_EMAIL: is needed until there is an admin")
            return
        if await self.store.read(lambda work: application.credentials_of(work, email)) is not None:
            return
        command = users.RegisterUser(
            user_id=admin_id(email),
            email=email,
            first_name="Pager",
            last_name="Admin",
            roles=(Role.ADMIN, Role.USER),
        )
        hashed = await self.passwords.hash(password)
        cause = Cause.new(application.AUTH)
        # Another replica that starts now makes the same id: the slower one then decides nothing.
        made = await self.store.transact(lambda work: application.register_user(work, command, hashed, cause))
        if made.result:
            _log.info("the first admin is registered", user_id=str(command.user_id))
