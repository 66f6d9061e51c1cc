"""Invites: an admin says who may come, and they make their account themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.auth import UserView
from libs.contracts.invites import Invite, InvitesPage, InviteView, LinkView, Register
from libs.contracts.requests import ListPage, NotFound, Rejected
from services.auth import application, entities, team_room
from services.auth.attempts import Attempt, Attempts, WrongPassword
from services.auth.credentials import Credentials, credentials_of, credentials_of_user
from services.auth.domain import invites, users
from services.auth.domain.invites import Accepted, AcceptInvite, IssueInvite, Open, ResendInvite, RevokeInvite
from services.auth.domain.users import RegisterUser
from services.auth.links import LASTS, BadLink, Purpose, shown
from services.auth.look_ups import address_hash, keep_invited
from services.auth.pace import Pace, for_passwords
from services.auth.passwords import Passwords
from services.auth.post import Post, cancel, withdraw
from services.auth.projections import invite_row
from services.auth.queries import INVITE, INVITES_LIST, INVITES_OPEN
from services.auth.views import invite_view

INVITES: Decider[invites.State, invites.Command] = Decider(invites.initial, invites.evolve, invites.decide)


class AlreadyInvited(Rejected):
    """This address has an invite that is open: send it again, or revoke it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Who has made their account, and the hash that their password fits."""

    user: UserView
    fits: str = field(repr=False)


@dataclass(frozen=True)
class Invitations:
    """Commands of admins run in the caller's transaction; `register` hashes, and so has one of its own."""

    store: Store
    passwords: Passwords
    attempts: Attempts
    post: Post
    pace: Pace = field(default_factory=for_passwords)

    def invite(self, work: Work, body: Invite, cause: Cause) -> InviteView:
        """Raises AddressTaken, AlreadyInvited, NoSuchTeam or MailsWait."""
        team_room.check_known(team_room.seen(work, body.team_ids), body.team_ids)
        entities.lock_address(work, body.email)
        if credentials_of(work, body.email) is not None:
            raise application.AddressTaken(field="email")
        if work.fetch(INVITES_OPEN, hash=address_hash(work, body.email), now=work.now):
            raise AlreadyInvited(field="email")
        invite_id = work.new_id()
        command = IssueInvite(invite_id, body.email, body.roles, body.team_ids, _until(work))
        (event,) = work.decide(INVITES, invite_id, command, cause)
        keep_invited(work, invite_id, body.email)
        return invite_view(invite_row(event), work.now, self.post.deliver(work, Purpose.INVITE, invite_id))

    def resend(self, work: Work, invite_id: UUID, cause: Cause) -> InviteView:
        """Another link, which is good for as long as the first one was. Raises NotFound, InviteIsOver or MailsWait."""
        expires_at = _until(work)
        work.decide(INVITES, invite_id, ResendInvite(invite_id, expires_at), cause)
        link = self.post.deliver(work, Purpose.INVITE, invite_id)
        return self._shown(work, invite_id, link, expires_at=expires_at)

    def revoke(self, work: Work, invite_id: UUID, cause: Cause) -> None:
        """Raises NotFound or InviteIsOver."""
        work.decide(INVITES, invite_id, RevokeInvite(invite_id), cause)
        withdraw(work, Purpose.INVITE, invite_id)

    def one(self, work: Work, invite_id: UUID) -> InviteView:
        """Raises NotFound."""
        if not (rows := work.fetch(INVITE, id=invite_id)):
            raise NotFound(f"there is no invite {invite_id}", field="id")
        return invite_view(rows[0], work.now)

    def page(self, work: Work, asked: ListPage) -> InvitesPage:
        page = INVITES_LIST.page(work, asked)
        return InvitesPage(**page.told("invites", (invite_view(row, work.now) for row in page.rows)))

    async def register(self, body: Register, peer: Peer) -> Joined:
        """Make the account of an invite. Said again with the same password, it tells who that became.

        Raises:
            BadLink: the invite is over.
            Invalid: with the field at fault; the link stays good.
            AddressTaken: there is an account meanwhile.
            TooOften: too many were offered.
            Busy: too many passwords are being hashed.
        """
        invite, known = await self.store.read(partial(self._looked_up, body))
        if known is not None:
            return await self._again(body, invite, known)
        command = RegisterUser(
            user_id=uuid4(),
            email=invite["email"],
            first_name=body.first_name,
            last_name=body.last_name,
            roles=tuple(invite["roles"]),
        )
        users.decide(command, users.initial())
        await self.passwords.check(body.password, (command.email, body.first_name, body.last_name))
        with self.passwords.place():
            hashed = await self.passwords.hash(body.password)
        made = (await self.store.transact(lambda work: self._accept(work, body, command, hashed, peer))).result
        if made is not None:
            return Joined(made, hashed)
        invite, known = await self.store.read(partial(self._looked_up, body))
        if known is None:
            raise BadLink(field="inviteToken")
        return await self._again(body, invite, known)

    def _looked_up(self, body: Register, work: Work) -> tuple[dict[str, Any], Credentials | None]:
        link = shown(work, Purpose.INVITE, body.invite_token, "inviteToken")
        self.pace.take(link["subject"], work.now)
        (invite,) = work.fetch(INVITE, id=link["subject"])
        user_id = invite["user_id"]
        return invite, None if user_id is None else credentials_of_user(work, user_id)

    def _accept(self, work: Work, body: Register, command: RegisterUser, hashed: str, peer: Peer) -> UserView | None:
        """None: somebody with the same link was faster, who may be the same one."""
        link = shown(work, Purpose.INVITE, body.invite_token, "inviteToken")
        state = work.state(INVITES, link["subject"])
        if isinstance(state, Accepted):
            return None
        # They cannot help it where one of their teams is gone or full meanwhile.
        invited = state.team_ids if isinstance(state, Open) else ()
        teams = {i: team for i, team in team_room.held(work, invited).items() if not team.is_full}
        cause = entities.begun_by(work, command.user_id, peer)
        user = application.register_person(work, command, hashed, cause, teams)
        work.decide(INVITES, link["subject"], AcceptInvite(link["subject"], command.user_id), cause)
        # The row stays until it expires, for whoever did not hear the answer; what else is on its way goes.
        cancel(work, Purpose.INVITE, link["subject"])
        return application.verify_email(work, user, cause) if link["mailed"] else user

    async def _again(self, body: Register, invite: dict[str, Any], known: Credentials) -> Joined:
        """Whoever knows the link and the password has made the account. Raises BadLink, LockedOut or Busy."""
        if not known.user.is_active:
            raise BadLink(field="inviteToken")
        target = self.attempts.guesses.within(known.user.email, invite["id"])

        async def verified() -> None:
            if not await self.passwords.verify(body.password, known.password_hash):
                raise WrongPassword

        try:
            async with self.attempts.looked_at(Attempt(target, known, at_home=True), verified) as (_, begun):
                await self.store.transact(lambda work: self.attempts.guesses.right(work, target, begun))
        except WrongPassword:
            raise BadLink(field="inviteToken") from None
        return Joined(known.user, known.password_hash)

    def _shown(self, work: Work, invite_id: UUID, link: LinkView | None, **changed: Any) -> InviteView:
        (row,) = work.fetch(INVITE, id=invite_id)
        return invite_view(row | changed, work.now, link)


def _until(work: Work) -> datetime:
    return work.now + LASTS[Purpose.INVITE]
