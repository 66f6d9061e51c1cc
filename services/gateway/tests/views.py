"""What the stub services answer: one view of each kind."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from libs.contracts import (
    analytics,
    api_keys,
    audit,
    auth,
    escalation,
    features,
    incident_alerts,
    incident_audit,
    incidents,
    integrations,
    invites,
    maintenance,
    notifier,
    oncall,
    reviews,
    teams,
)
from libs.contracts.envelope import Actor
from libs.contracts.labels import Link
from libs.contracts.model import Lane, Priority, Role, TeamRole
from services.gateway.tests.stubs import USER, json_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
ID = UUID("550e8400-e29b-41d4-a716-446655440001")

_USER = auth.UserView(
    id=USER,
    email="user@company.com",
    first_name="John",
    last_name="Doe",
    roles=(Role.USER,),
    created_at=NOW,
    updated_at=NOW,
)
_TOKENS = auth.Tokens(access_token="a", refresh_token="r", expires_in=900)
_LAYER = oncall.Layer(start=datetime(2026, 3, 2, 9, 0), participants=(USER,))  # noqa: DTZ001 - a local wall clock
_LEVEL = escalation.Level(timeout_minutes=15, targets=(escalation.Target(type=escalation.TargetType.SCHEDULE, id=ID),))

USER_VIEW = json_of(_USER)
TOKENS = json_of(_TOKENS)
SIGNED_IN = json_of(auth.SignedInView(user=_USER, tokens=_TOKENS))
TOTP = json_of(auth.TotpSecret(secret="S", uri="otpauth://totp/Pager:a"))
SECOND_FACTOR = json_of(auth.SecondFactorView(is_on=True, is_needed=False, recovery_codes_left=9))
SESSION = json_of(auth.SessionView(id=USER, device_id="phone", began_at=NOW, expires_at=NOW, is_current=True))
WEB_PUSH_KEY = json_of(notifier.WebPushKey(public_key="BIdent"))
DEVICE = json_of(auth.DeviceView(device_id="phone", device_name="Phone", platform=auth.Platform.IOS, registered_at=NOW))
AUDIT_ENTRY = json_of(
    audit.AuditEntry(
        at=NOW,
        actor=Actor.user(USER),
        ip_address="192.0.2.1",
        user_agent="Pager/2.1",
        action="PolicyChanged",
        resource=f"policies/{ID}",
        old={"name": "a"},
        new={"name": "b"},
        event_id=ID,
    )
)
MAINTENANCE = json_of(maintenance.MaintenanceView(enabled=True, message="new disks", until=LATER))
FEATURE = json_of(
    features.FeatureView(flag=features.Feature.BULK, switches="bulk", percentage=20, user_ids=(ID,), changed_at=NOW)
)
INVITE = json_of(
    invites.InviteView(
        id=ID,
        email="jo@company.com",
        roles=(Role.USER,),
        status=invites.InviteStatus.OPEN,
        created_at=NOW,
        expires_at=LATER,
        link=invites.LinkView(url="https://pager.example/app/register#invite_1", expires_at=LATER),
    )
)
TEAM = json_of(
    teams.TeamView(id=ID, name="Core", members=2, version=1, created_by=str(USER), created_at=NOW, updated_at=NOW)
)
MEMBER = json_of(
    teams.MemberView(
        user_id=USER,
        first_name="John",
        last_name="Doe",
        role=TeamRole.MANAGER,
        is_active=True,
        reachable=True,
        since=NOW,
    )
)
NOTE = json_of(incidents.NoteView(id=ID, text="the replica lags", by=str(ID), at=NOW))
INCIDENT = json_of(
    incidents.IncidentView(
        id=ID,
        number=7,
        version=1,
        url=f"http://localhost:3000/app/incidents/{ID}",
        title="Database Connection Error",
        description="Primary DB cluster down",
        priority=Priority.CRITICAL,
        status=incidents.Status.CREATED,
        lane=Lane.URGENT,
        assigned_to=USER,
        created_by=str(USER),
        created_at=NOW,
        updated_at=NOW,
        escalation_timeout_minutes=15,
        alert_count=1,
        metadata={"host": "db-1"},
    )
)
ALERT = json_of(
    incident_alerts.AlertView(
        id=ID,
        incident_id=ID,
        number=1,
        fingerprint="shop-1",
        state=incident_alerts.AlertState.OPEN,
        title="shop-1 restarts",
        description=None,
        priority=Priority.HIGH,
        source="cluster",
        labels={"pod": "shop-1"},
        links=(Link(href="https://grafana.example/d/1"),),
        count=3,
        created_at=NOW,
        last_at=NOW,
        resolved_at=None,
        occurred_at=None,
    )
)
TIMELINE = json_of(
    incidents.Timeline(
        entries=(
            incidents.TimelineEntry(
                at=NOW, type="IncidentCreated", actor=Actor.user(USER), summary="created", event_id=ID
            ),
        )
    )
)
INCIDENT_AUDIT = json_of(
    incident_audit.IncidentAudit(
        entries=(
            incident_audit.IncidentChange(
                at=NOW,
                version=2,
                action="IncidentAcknowledged",
                actor=Actor.user(USER),
                ip_address="[hidden]",
                old={"status": "created"},
                new={"status": "acknowledged"},
                event_id=ID,
                correlation_id=ID,
            ),
        )
    )
)
EXPLANATION = json_of(
    incidents.Explanation(
        people=(
            incidents.PersonExplained(
                user_id=USER,
                outcome=incidents.Outcome.PAGED,
                reason="on call",
                chain=(incidents.ChainLink(event_id=ID, at=NOW, type="IncidentCreated", summary="created"),),
            ),
        )
    )
)
INTEGRATION = json_of(
    integrations.IntegrationView(
        id=ID,
        version=1,
        name="Default",
        type=integrations.IntegrationKind.GENERIC,
        created_at=NOW,
        updated_at=NOW,
        keys=(integrations.IntegrationKeyView(id=ID, created_at=NOW, hint="kkkk"),),
        key="k" * 32,
    )
)
SECRET = json_of(api_keys.CreatedSecretView(id=ID, prefix="pgr_abcdefgh", created_at=NOW, key="pgr_" + "k" * 42))
API_KEY = json_of(
    api_keys.ApiKeyView(
        id=ID,
        version=1,
        name="Deploys",
        scopes=("incidents.read",),
        made_by=USER,
        owner_id=USER,
        prefix="pgr_abcdefgh",
        secrets=(api_keys.SecretView(id=ID, prefix="pgr_abcdefgh", created_at=NOW),),
        created_at=NOW,
        updated_at=NOW,
        key="pgr_" + "k" * 42,
    )
)
INTEGRATION_KEY = json_of(integrations.CreatedKeyView(id=ID, created_at=NOW, hint="kkkk", key="k" * 32))
LAYER = json_of(_LAYER)
SCHEDULE = json_of(
    oncall.ScheduleView(
        id=ID,
        name="Primary On-Call",
        timezone="Europe/Berlin",
        is_active=True,
        layers=(_LAYER,),
        version=1,
        created_by=str(USER),
        created_at=NOW,
        updated_at=NOW,
    )
)
OVERRIDE = json_of(
    oncall.OverrideView(
        id=ID,
        user_id=USER,
        start_time=NOW,
        end_time=LATER,
        schedule_id=ID,
        created_by=USER,
        created_at=NOW,
        reachable=True,
    )
)
SHIFT = json_of(oncall.Shift(user_id=USER, start_time=NOW, end_time=LATER, layer=0))
ON_CALL = json_of(
    oncall.OnCallView(
        user_id=USER,
        user_name="John Doe",
        schedule_id=ID,
        schedule_name="Primary On-Call",
        start_time=NOW,
        end_time=LATER,
    )
)
LEVEL = json_of(_LEVEL)
POLICY = json_of(
    escalation.PolicyView(
        id=ID,
        name="Default",
        priority_filter=(),
        repeat=3,
        levels=(_LEVEL,),
        is_default=True,
        version=1,
        created_by=str(USER),
        created_at=NOW,
        updated_at=NOW,
    )
)
NOTIFICATION = json_of(
    notifier.NotificationView(
        id=ID,
        incident_id=ID,
        user_id=USER,
        method="push",
        device_id="phone",
        run=1,
        level=1,
        round=1,
        state=notifier.NotificationState.ACCEPTED,
        created_at=NOW,
    )
)
REVIEW = json_of(
    reviews.ReviewView(
        id=ID,
        incident_id=ID,
        version=1,
        text="# It burned",
        created_at=NOW,
        created_by=f"user:{USER}",
        updated_at=NOW,
        updated_by=f"user:{USER}",
    )
)
PERIOD = {"from": NOW, "to": LATER, "team_id": ID}
SUMMARY = json_of(analytics.Summary(**PERIOD, incidents=7, answered=5, mtta=61.5))
RESPONSE = json_of(analytics.Response(**PERIOD, levels=(analytics.LevelResponse(level=1, fired=3, answered=2),)))
LOAD = json_of(analytics.Load(**PERIOD, night="22:00-07:00", pages=3))
NOISE = json_of(analytics.Noise(**PERIOD))
