"""Auth's operations on `pager.rpc.auth.*`, and who may call them."""

from __future__ import annotations

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.audit import ACCESSES, KeepAccesses
from libs.contracts.auth import (
    KeySet,
    RotateKeys,
    SigningKeysView,
)
from libs.contracts.person_keys import PersonKeys, PersonKeysOf
from libs.contracts.requests import Nothing
from libs.contracts.web_push import BROWSERS, PushServices
from services.auth import access
from services.auth.device_credentials import DeviceCredentials
from services.auth.directory import Directory
from services.auth.doors import add_door_operation
from services.auth.erasing import Erasures
from services.auth.features import add_feature_operations
from services.auth.joining import Joining
from services.auth.key_api import add_key_operations
from services.auth.key_exchange import KeyExchange
from services.auth.key_room import KeyRoom
from services.auth.maintenance import add_maintenance_operations
from services.auth.oidc.sign_in import OidcSignIns
from services.auth.password_api import add_password_operations, add_recovery_operations, add_second_factor_operations
from services.auth.password_change import PasswordChanges
from services.auth.people_api import (
    add_change_operations,
    add_erasure_operations,
    add_invite_operations,
    add_people_operations,
)
from services.auth.recovery import Recovery
from services.auth.refusals import Refusals
from services.auth.registration import Registration
from services.auth.second_factors import SecondFactors
from services.auth.session_api import add_device_operations, add_oidc_operations, add_session_operations
from services.auth.sign_in import SignIns
from services.auth.subject_keys import keys_for
from services.auth.tables.watch import audit
from services.auth.team_api import add_team_operations
from services.auth.team_uses import TeamUses


def api(
    sign_ins: SignIns,
    registration: Registration,
    changes: PasswordChanges,
    joining: Joining,
    recovery: Recovery,
    factors: SecondFactors,
    room: KeyRoom,
    refusals: Refusals,
    team_uses: TeamUses,
    erasures: Erasures,
    directory: Directory,
    oidc: OidcSignIns,
    exchange: KeyExchange,
    credentials: DeviceCredentials,
    push_services: PushServices = BROWSERS,
) -> Requests:
    """Signing in, what is done with a link, and `keys` are public, and as the bus permits the keys' ages and rotation
    for operators, `person_keys` for services, and `keep_accesses` and `exchange_key` for the gateway; all else needs an
    access token."""
    requests = Requests("auth")
    add_session_operations(requests, sign_ins)
    add_oidc_operations(requests, oidc)
    add_people_operations(requests, registration, directory)
    add_password_operations(requests, changes)
    add_change_operations(requests)
    add_invite_operations(requests, joining, refusals)
    add_recovery_operations(requests, recovery, refusals)
    add_second_factor_operations(requests, factors)
    add_device_operations(requests, credentials, push_services)
    add_team_operations(requests, team_uses)
    add_key_operations(requests, exchange)
    add_maintenance_operations(requests)
    add_feature_operations(requests)
    add_door_operation(requests)
    _keys(requests, room)
    _audit(requests, refusals)
    add_erasure_operations(requests, erasures)
    return requests


def _audit(requests: Requests, refusals: Refusals) -> None:
    add_audit(requests, Trail(audit), {ACCESSES: access.page})

    @requests.handle("keep_accesses", KeepAccesses, public=True)
    async def keep_accesses(body: KeepAccesses, _caller: None) -> Nothing:
        return await access.keep(refusals.store, refusals, body)


def _keys(requests: Requests, room: KeyRoom) -> None:
    @requests.handle("keys", NoRequest, public=True)
    async def public_keys(_body: NoRequest, _caller: None) -> KeySet:
        return await room.keys.public()

    @requests.handle("signing_keys", NoRequest, public=True)
    async def signing_keys(_body: NoRequest, _caller: None) -> SigningKeysView:
        return await room.view()

    @requests.handle("rotate_keys", RotateKeys, public=True)
    async def rotate_keys(body: RotateKeys, _caller: None) -> SigningKeysView:
        return await room.rotate(compromised=body.compromised)

    @requests.query("person_keys", PersonKeysOf, public=True)
    def person_keys(work: Work, body: PersonKeysOf, _caller: None) -> PersonKeys:
        return keys_for(work, body.user_ids)
