"""Auth's operations about people: registered, invited, changed, deactivated and erased."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.auth import (
    ChangeUser,
    NameView,
    ProfileChange,
    RegisterUser,
    UsersPage,
    UsersQuery,
    UserView,
)
from libs.contracts.erasure import EraseUser, ExportPage, ExportQuery
from libs.contracts.invites import (
    Invite,
    InvitesPage,
    InviteView,
    Register,
    RegisteredView,
)
from libs.contracts.model import Role
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Forbidden, ListPage, Nothing
from services.auth import application, entities
from services.auth.directory import Directory
from services.auth.erasing import Erasures
from services.auth.export import exported
from services.auth.joining import Joining
from services.auth.links import Purpose
from services.auth.refusals import Refusals
from services.auth.registration import Prepared, Registration
from services.auth.views import user_view


def add_erasure_operations(requests: Requests, erasures: Erasures) -> None:
    """An admin erases whoever is deactivated, and everybody reads what is held on them."""

    async def can(_body: EraseUser, _caller: Caller) -> None:
        erasures.check()

    # The ledger is written after the commit: what nobody has decided must never erase anybody.
    async def recorded(body: EraseUser, _caller: Caller) -> None:
        await erasures.record(body.id)

    @requests.handle(
        "erase_user",
        EraseUser,
        action=Action.PEOPLE_WRITE,
        before=can,
        after=recorded,
        versioned=entities.USERS,
    )
    def erase_user(work: Work, body: EraseUser, caller: Caller) -> Nothing:
        erasures.erase(work, body, caller.cause(work))
        return Nothing()

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, body: ExportQuery, caller: Caller) -> ExportPage:
        return exported(work, body, caller)


def add_people_operations(requests: Requests, registration: Registration, directory: Directory) -> None:
    """Who there is, and how admins add somebody."""

    async def prepare(body: RegisterUser, caller: Caller) -> Prepared:
        _check_gives(caller, body.roles)
        return await registration.prepare(body)

    @requests.handle("register_user", RegisterUser, action=Action.PEOPLE_WRITE, before=prepare)
    def register_user(work: Work, _body: RegisterUser, caller: Caller, prepared: Prepared) -> UserView:
        return registration.register(work, prepared, caller.cause(work))

    @requests.query("users", UsersQuery, action=Action.PEOPLE_READ)
    def users(work: Work, body: UsersQuery, caller: Caller) -> UsersPage:
        page = directory.page(work, body)
        views = (_seen_by(caller, user_view(row)) for row in page.rows)
        return UsersPage(**page.told("users", views))

    @requests.query("user", ById, action=Action.PEOPLE_READ)
    def user(work: Work, body: ById, caller: Caller) -> UserView:
        return _seen_by(caller, entities.user(work, body.id))

    # A phone that answers with its credential may read no people, but is told who was faster.
    @requests.query("name", ById, action=Action.INCIDENTS_ACKNOWLEDGE)
    def name(work: Work, body: ById, caller: Caller) -> NameView:
        if caller.key_id is not None:
            caller.require(Action.PEOPLE_READ)
        known = entities.user(work, body.id)
        return NameView(first_name=known.first_name, last_name=known.last_name)

    @requests.query("me", NoRequest, action=Action.ME)
    def me(work: Work, _body: NoRequest, caller: Caller) -> UserView:
        return entities.user(work, caller.user_id)


def add_change_operations(requests: Requests) -> None:
    """Profiles and roles, and who may sign in at all."""

    def own(_body: ProfileChange, caller: Caller) -> UUID:
        return caller.user_id

    @requests.handle("change_me", ProfileChange, action=Action.ME, versioned=entities.USERS, entity=own)
    def change_me(work: Work, body: ProfileChange, caller: Caller) -> UserView:
        return application.change_user(work, caller.user_id, body, caller.cause(work))

    @requests.handle("change_user", ChangeUser, action=Action.PEOPLE_WRITE, versioned=entities.USERS)
    def change_user(work: Work, body: ChangeUser, caller: Caller) -> UserView:
        _check_gives(caller, body.roles or ())
        return application.change_user(work, body.id, body, caller.cause(work))

    @requests.handle("deactivate_user", ById, action=Action.PEOPLE_WRITE, versioned=entities.USERS)
    def deactivate_user(work: Work, body: ById, caller: Caller) -> UserView:
        return application.deactivate(work, body.id, caller.cause(work))

    @requests.handle("reactivate_user", ById, action=Action.PEOPLE_WRITE, versioned=entities.USERS)
    def reactivate_user(work: Work, body: ById, caller: Caller) -> UserView:
        return application.reactivate(work, body.id, caller.cause(work))


def add_invite_operations(requests: Requests, joining: Joining, refusals: Refusals) -> None:
    """Invites are admins'; whoever has the link registers with it."""

    @requests.handle("invite", Invite, action=Action.PEOPLE_WRITE)
    def invite(work: Work, body: Invite, caller: Caller) -> InviteView:
        _check_gives(caller, body.roles)
        return joining.invitations.invite(work, body, caller.cause(work))

    @requests.query("invites", ListPage, action=Action.PEOPLE_WRITE)
    def invites(work: Work, body: ListPage, caller: Caller) -> InvitesPage:
        return joining.invitations.page(work, body)

    @requests.query("get_invite", ById, action=Action.PEOPLE_WRITE)
    def get_invite(work: Work, body: ById, _caller: Caller) -> InviteView:
        return joining.invitations.one(work, body.id)

    @requests.handle("resend_invite", ById, action=Action.PEOPLE_WRITE)
    def resend_invite(work: Work, body: ById, caller: Caller) -> InviteView:
        sent = joining.invitations.resend(work, body.id, caller.cause(work))
        _check_gives(caller, sent.roles)  # the link may be in the answer
        return sent

    @requests.handle("revoke_invite", ById, action=Action.PEOPLE_WRITE)
    def revoke_invite(work: Work, body: ById, caller: Caller) -> None:
        joining.invitations.revoke(work, body.id, caller.cause(work))

    @requests.handle("register", Register, public=True, peer=True)
    async def register(body: Register, peer: Peer) -> RegisteredView:
        with refusals.of_links(Purpose.INVITE, peer):
            return await joining.register(body, peer)


def _check_gives(caller: Caller, roles: Collection[Role]) -> None:
    """A machine makes nobody more than everybody is: as a person of its own making it would do what no scope names.

    Raises:
        Forbidden: it is an API key, and would give the role lead or admin.
    """
    if caller.key_id is not None and not {Role.USER}.issuperset(roles):
        raise Forbidden("the roles lead and admin are given by people, and by no API key")


def _seen_by(caller: Caller, user: UserView) -> UserView:
    """Colleagues choose each other by name and address; a number is for leads, admins and oneself.

    It is not for a team's managers: they put whom they like into their team.
    """
    if caller.person == user.id or caller.may(Action.PEOPLE_CONTACT):
        return user
    return user.model_copy(update={"phone": None})
