"""The composition root of auth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.monitor.watched import Watched
from libs.chassis.parts import Answers, Engine, Parts, Runtime
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import load_or_exit
from libs.chassis.store.pruning import Retention
from libs.chassis.store.roll_call import RollCall
from libs.chassis.store.store import Store
from libs.contracts.web_push import PushServices
from services.auth.access import KEPT
from services.auth.api import api
from services.auth.attempts import Attempts
from services.auth.captchas import Captchas
from services.auth.consumers import consumers
from services.auth.countries import REMEMBERED, Countries
from services.auth.device_credentials import DeviceCredentials
from services.auth.directory import Directory
from services.auth.entries import Entries
from services.auth.erasing import Erasures
from services.auth.guesses import Guesses
from services.auth.invitations import Invitations
from services.auth.joining import Joining
from services.auth.key_exchange import AllSessions, KeyExchange
from services.auth.key_room import KeyRoom
from services.auth.ledger import Ledger
from services.auth.links import Links
from services.auth.look_ups import keep_missing
from services.auth.mailing import Mailing
from services.auth.measures import measures
from services.auth.months import Months
from services.auth.notices import EACH, Notices, Noticing
from services.auth.oidc.pending import PendingSignIns
from services.auth.oidc.people import People
from services.auth.oidc.provider import Provider
from services.auth.oidc.sign_in import OidcSignIns
from services.auth.owners import Owners
from services.auth.password_change import PasswordChanges
from services.auth.passwords import Passwords
from services.auth.post import Post
from services.auth.projections import project
from services.auth.recovery import Recovery
from services.auth.refusals import Refusals
from services.auth.registration import Registration
from services.auth.sealed import Sealed
from services.auth.sealing import Seal
from services.auth.second_factors import SecondFactors
from services.auth.settings import Settings
from services.auth.sign_in import SignIns
from services.auth.signing_keys import SigningKeys
from services.auth.subject_keys import SubjectKeys
from services.auth.tables.passwords import captchas as captchas_table
from services.auth.tables.passwords import links
from services.auth.tables.sessions import device_credentials, known_keys, oidc_codes, revoked_tokens, used_proofs
from services.auth.tables.watch import access_log, countries, noticed
from services.auth.team_uses import TeamUses
from services.auth.tokens import AccessTokens


@dataclass
class Accounts(Engine):
    """A first start makes the first admin. What code from before has written is found as well."""

    store: Store
    settings: Settings
    registration: Registration
    sign_ins: SignIns
    exchange: KeyExchange

    async def prepare(self) -> None:
        await self.store.transact(keep_missing)
        password = self.settings.admin_password
        await self.registration.first_admin(
            self.settings.admin_email, password.get_secret_value() if password is not None else None
        )

    async def close(self) -> None:
        await self.sign_ins.close()
        await self.exchange.close()


def build(runtime: Runtime) -> Parts:
    settings = cast("Settings", runtime.settings)
    passwords = Passwords(settings.bcrypt_rounds)
    master_key, previous = settings.master_keys()
    people = cast("SubjectKeys", runtime.keyring)
    seal = people.seal
    roll_call = RollCall("auth", settings.instance, seal.names)
    given = (previous, master_key) if previous else (master_key,)
    sealed = Sealed(runtime.rpc, seal, runtime.clock, roll_call, given)
    people.look_up_key = sealed.look_up_key
    keys = SigningKeys(runtime.rpc, seal, runtime.clock)
    room = KeyRoom(runtime.rpc, keys, sealed, runtime.clock, has_previous=previous is not None)
    registration = Registration(runtime.rpc, passwords)
    access = AccessTokens(keys.current, settings.jwt_access_expires)
    refusals = Refusals(runtime.rpc, runtime.clock, sealed.audit_key)
    server, links_out = settings.mail_server(), Links(settings.public_url)
    notices = Notices(mails=server is not None)
    captchas = Captchas(runtime.rpc, runtime.clock, sealed.captchas_key, settings.captcha)
    attempts = Attempts(runtime.rpc, passwords, Guesses(sealed.guesses_key), refusals, notices, captchas)
    changes = PasswordChanges(
        store=runtime.rpc,
        passwords=passwords,
        attempts=attempts,
        access=access,
        clock=runtime.clock,
        refresh_lifetime=settings.jwt_refresh_expires,
    )
    post = Post(links_out, mails=server is not None)
    invitations = Invitations(runtime.rpc, passwords, attempts, post)
    recovery = Recovery(runtime.rpc, passwords, attempts.guesses, post)
    factors = SecondFactors(runtime.rpc, seal, Owners(runtime.rpc, passwords, attempts), settings.admins_need_totp)
    ledger = Ledger(Path(settings.erasure_ledger_file)) if settings.erasure_ledger_file else None
    erasures = Erasures(runtime.rpc, attempts.guesses, ledger)
    sign_ins = SignIns(
        store=runtime.rpc,
        passwords=passwords,
        attempts=attempts,
        second_factors=factors,
        entries=Entries(
            access,
            runtime.clock,
            settings.jwt_refresh_expires,
            sealed.refresh_key,
            Countries.of(settings.geoip_file, notices),
            PushServices.parse(settings.web_push_hosts),
        ),
    )
    exchange = KeyExchange(runtime.rpc, access, runtime.clock)
    phones = DeviceCredentials(runtime.rpc, access, runtime.clock)
    provided = settings.oidc()
    oidc = OidcSignIns(
        store=runtime.rpc,
        provider=Provider(provided, runtime.clock) if provided else None,
        pending=PendingSignIns(sealed.pending_key),
        people=People(provided, sealed.identities_key, passwords) if provided else None,
        sign_ins=sign_ins,
        refusals=refusals,
        clock=runtime.clock,
    )
    doors = api(
        sign_ins,
        registration,
        changes,
        Joining(runtime.rpc, invitations, sign_ins.entries, factors),
        recovery,
        factors,
        room,
        refusals,
        TeamUses(runtime.bus),
        erasures,
        Directory(sealed.look_up_key),
        oidc,
        exchange,
        phones,
        sign_ins.entries.push_services,
    )
    return Parts(
        Answers(doors, keys.public, AllSessions(sign_ins, exchange, phones)),
        reads=runtime.follow(consumers()),
        engines=(
            room,
            erasures,  # before there is a first admin, and before anybody is served
            Accounts(runtime.rpc, settings, registration, sign_ins, exchange),
            refusals,
            Mailing(runtime.work, runtime.clock, links_out, server),
            Months(runtime.work, runtime.clock),
            Noticing(runtime.work, runtime.clock, settings.public_url, server),
            oidc,
        ),
        watched=Watched(measures().observe, room.gauges),
        forgets=(
            Retention(links, "expires_at", timedelta(0)),
            Retention(oidc_codes, "expires_at", timedelta(0)),
            Retention(captchas_table, "forget_at", timedelta(0)),
            Retention(access_log, "at", KEPT),
            Retention(countries, "last_at", REMEMBERED),
            Retention(noticed, "at", EACH),
            Retention(used_proofs, "forget_at", timedelta(0)),
            Retention(device_credentials, "ends_at", timedelta(0)),
            Retention(known_keys, "forget_at", timedelta(0)),
            Retention(revoked_tokens, "forget_at", timedelta(0)),
        ),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    """One replica; `clock` is moved by tests."""
    people = SubjectKeys(Seal(*settings.master_keys()))
    return Service("auth", settings, clock or SystemClock(), project, build, people)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
