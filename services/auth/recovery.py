"""Links that people ask for themselves: to choose another password, and to show that an address is theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from libs.contracts.invites import AskedFor, ForgotPassword, ResetLinkView, ResetPassword, Token
from libs.contracts.requests import NotFound, Rejected
from services.auth import application, entities
from services.auth.credentials import Credentials, credentials_of, credentials_of_user
from services.auth.domain.users import IssueResetLink
from services.auth.guesses import Guesses
from services.auth.links import BadLink, Purpose, end_links, shown
from services.auth.owners import check_just_signed_in
from services.auth.pace import Pace, for_passwords
from services.auth.passwords import OldPassword, Passwords, about
from services.auth.post import Post


class NoMails(Rejected):
    """No mails are sent from here: an admin can give you a link."""


class NotActive(Rejected):
    """They are deactivated, and cannot sign in."""


@dataclass(frozen=True)
class Recovery:
    store: Store
    passwords: Passwords
    guesses: Guesses
    post: Post
    pace: Pace = field(default_factory=for_passwords)

    async def forgot(self, body: ForgotPassword) -> AskedFor:
        """Have a link sent to whoever has this address; whether anybody has is neither said nor to be seen.

        The same is read and written for nobody's address, and the mail is sent beside the answer. An address gets a few
        mails an hour; what is asked for beyond that is answered as if it were sent.

        Raises:
            NoMails: there is no mail server, whoever asks.
            MailsWait: too many mails wait, whoever asks.
        """
        if not self.post.mails:
            raise NoMails
        nobody = uuid4()

        def ask(work: Work) -> None:
            known = credentials_of(work, body.email)
            if self.guesses.may_be_mailed(work, body.email):
                self.post.send(work, Purpose.RESET, nobody if known is None else known.user.id)

        await self.store.transact(ask)
        return AskedFor()

    def reset_link(self, work: Work, user_id: UUID, caller: Caller) -> ResetLinkView:
        """For an admin. One's own stands for the present password, so an old session does not get it.

        Raises NotFound, NotActive, SignedInLongAgo or MailsWait.
        """
        if user_id == caller.user_id:
            check_just_signed_in(work, caller)
        if not entities.user(work, user_id).is_active:
            raise NotActive(field="id")
        link = self.post.deliver(work, Purpose.RESET, user_id)
        if link is not None:
            work.decide(entities.USERS, user_id, IssueResetLink(user_id), caller.cause(work))
        return ResetLinkView(link=link)

    async def reset(self, body: ResetPassword, peer: Peer) -> None:
        """Give whoever the link was made for another password; all their sessions end, and they are paged as before.

        Raises:
            BadLink: the link is over.
            Invalid: the password is not good enough; the link stays good.
            TooOften: too many were offered.
            Busy: too many passwords are being hashed.
        """
        known = await self.store.read(lambda work: self._owner(work, body.token))
        await self.passwords.check(body.new_password, about(known.user), "newPassword")
        with self.passwords.place():
            try:
                hashed = await self.passwords.hash(body.new_password, (known.password_hash, *known.former))
            except OldPassword as error:
                raise OldPassword(field="newPassword") from error

        def reset(work: Work) -> None:
            entities.lock_user(work, known.user.id)
            link = shown(work, Purpose.RESET, body.token, "token")
            cause = entities.begun_by(work, known.user.id, peer)
            application.reset_password(work, known, hashed, cause)  # which ends the link
            if link["mailed"]:
                application.verify_email(work, known.user, cause)

        await self.store.transact(reset)

    def ask_to_verify(self, work: Work, user_id: UUID) -> AskedFor:
        """Raises NoMails or MailsWait."""
        user = entities.user(work, user_id)
        if not self.post.mails:
            raise NoMails
        if not user.email_verified and self.guesses.may_be_mailed(work, user.email):
            self.post.send(work, Purpose.VERIFY, user_id)
        return AskedFor()

    async def verify(self, body: Token, peer: Peer) -> UserView:
        """The address is theirs: they have read a mail that went nowhere else. Raises BadLink."""

        def verify(work: Work) -> UserView:
            user_id = shown(work, Purpose.VERIFY, body.token, "token")["subject"]
            end_links(work, Purpose.VERIFY, user_id)
            cause = entities.begun_by(work, user_id, peer)
            return application.verify_email(work, entities.user(work, user_id), cause)

        return (await self.store.transact(verify)).result

    def _owner(self, work: Work, token: str) -> Credentials:
        link = shown(work, Purpose.RESET, token, "token")
        try:
            known = credentials_of_user(work, link["subject"])
        except NotFound:
            raise BadLink(field="token") from None
        if not known.user.is_active:
            raise BadLink(field="token")
        self.pace.take(known.user.id, work.now)
        return known
