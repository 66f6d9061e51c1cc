"""Who of ours somebody at the provider is: known by their account there, once by their address, or registered now."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

from pydantic_core import to_json

from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.auth import UserView
from libs.contracts.envelope import Actor
from libs.contracts.model import Role
from libs.contracts.oidc import LinkedBy
from libs.contracts.requests import Forbidden
from services.auth import application, entities
from services.auth.credentials import credentials_of
from services.auth.domain import identities
from services.auth.domain.identities import LinkIdentity, UnlinkIdentity
from services.auth.domain.users import Registered, RegisterUser
from services.auth.oidc.configuration import Configuration
from services.auth.oidc.giving import give, in_order
from services.auth.oidc.identity import Identity
from services.auth.passwords import Passwords
from services.auth.queries import IDENTITIES_OF, IDENTITY

IDENTITIES: Decider[identities.State, identities.Command] = Decider(
    identities.initial, identities.evolve, identities.decide
)


class NotLetIn(Forbidden):
    """You are not let in here."""

    def __init__(self, message: str, reason: str, account: UUID, user_id: UUID | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        """As the audit says it."""
        self.account = account
        self.user_id = user_id
        """Whose it is; None: nobody's here."""


@dataclass(frozen=True)
class People:
    """`key`: under which accounts of the provider are kept."""

    configuration: Configuration
    key: Callable[[], bytes]
    passwords: Passwords

    def admit(self, work: Work, who: Identity) -> UUID:
        """The person, given what their groups give. Raises NotLetIn."""
        identity_id = self.identity_id(who)
        work.lock(f"pager/auth/identity/{identity_id}")
        if rows := work.fetch(IDENTITY, id=identity_id):
            user_id: UUID = rows[0]["user_id"]
        else:
            user_id = self._linked(work, identity_id, who)
        person = work.state(entities.USERS, user_id)
        if not isinstance(person, Registered) or not person.is_active:
            raise NotLetIn("your account is deactivated", "deactivated", identity_id, user_id)
        give(work, user_id, self.configuration.given_by(who.groups), self.configuration.managed)
        return user_id

    def identity_id(self, who: Identity) -> UUID:
        """Of an account of the provider's: nobody without the key can tell whose it is."""
        return UUID(bytes=hmac.digest(self.key(), to_json([who.issuer, who.subject]), sha256)[:16])

    def _linked(self, work: Work, identity_id: UUID, who: Identity) -> UUID:
        """Whose account it is from now on."""
        if who.email is None:
            told = "the identity provider has not verified that your email address is yours"
            raise NotLetIn(told, "address not verified", identity_id)
        entities.lock_address(work, who.email)
        known = credentials_of(work, who.email)
        if known is None:
            return self._registered(work, identity_id, who, who.email)
        user = known.user
        if any(row["issuer"] == who.issuer for row in work.fetch(IDENTITIES_OF, user_id=user.id)):
            # An address may have been given to somebody else since.
            told = "your address is another account's of the identity provider: an admin can part them"
            raise NotLetIn(told, "another account at the provider", identity_id, user.id)
        if user.is_active:
            self._link(work, user, LinkIdentity(user.id, identity_id, who.issuer, LinkedBy.ADDRESS))
        return user.id

    def _registered(self, work: Work, identity_id: UUID, who: Identity, email: str) -> UUID:
        granted = self.configuration.given_by(who.groups)
        if granted.is_nothing:
            told = "nobody has your address here, and none of your groups is let in: ask an admin to invite you"
            raise NotLetIn(told, "nobody here, and no group", identity_id)
        command = RegisterUser(
            user_id=uuid4(),
            email=email,
            first_name=who.first_name,
            last_name=who.last_name,
            roles=in_order(granted.roles) or (Role.USER,),
        )
        cause = work.begin(Actor.user(command.user_id))
        user = application.register_person(work, command, self.passwords.none(), cause)
        self._link(work, user, LinkIdentity(user.id, identity_id, who.issuer, LinkedBy.REGISTERED))
        return user.id

    def _link(self, work: Work, user: UserView, command: LinkIdentity) -> None:
        cause = work.begin(Actor.user(user.id))
        work.decide(IDENTITIES, command.identity_id, command, cause)
        application.verify_email(work, user, cause)


def part(work: Work, user_id: UUID, cause: Cause) -> None:
    """Part somebody from their accounts at the provider. Raises NotFound."""
    entities.locked_user(work, user_id)
    for row in work.fetch(IDENTITIES_OF, user_id=user_id):
        work.decide(IDENTITIES, row["id"], UnlinkIdentity(), cause)
