"""Every route: what it forwards, what it answers, and that the answer is the documented one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute

from libs.contracts.subjects import Header
from services.gateway.app import _RESOURCES
from services.gateway.maintenance import NEVER_STOPS
from services.gateway.route import ANSWERS
from services.gateway.tests import views as v
from services.gateway.tests.stubs import USER, World

ID = str(v.ID)
INCIDENT = f"/incidents/{ID}"
SCHEDULE = f"/on-call/schedules/{ID}"
NOON = "2026-03-02T12:00:00Z"
NIGHT = "2026-03-02T22:00:00Z"
NINE = "2026-03-02T09:00:00Z"
PAGE_TWO = {"page": 2, "limit": 5}
OF_SEVEN = {"page": 2, "limit": 5, "total": 7, "totalPages": 2}
FULL = OF_SEVEN | {"endsEarly": True}
LOGIN = {"email": "user@company.com", "password": "securePassword123!", "deviceId": "phone"}
CHANGE_PASSWORD = {"currentPassword": "securePassword123!", "newPassword": "anotherPassword123!"}
REGISTER = {"email": "a@b.c", "password": "securePassword123!", "firstName": "A", "lastName": "B", "roles": ["user"]}
REGISTER_DEVICE = {"deviceId": "phone", "deviceName": "Phone", "platform": "ios", "pushToken": "t"}
CREATE = {"title": "Slow", "priority": "high", "metadata": {"a": [1, None]}}
CREATE_SCHEDULE = {"name": "Primary", "timezone": "Europe/Berlin", "layers": [v.LAYER]}
OVERRIDE = {"userId": str(USER), "startTime": NOON, "endTime": NIGHT}
CREATE_POLICY = {"name": "Default", "levels": [v.LEVEL]}


@dataclass(frozen=True)
class Case:
    """A call, what the service is asked, what it answers, and the data of the answer."""

    name: str
    method: str
    path: str
    operation: str
    asked: Any
    reply: Any
    data: Any
    body: Any = None
    status: int = 200


def paged(name: str, path: str, operation: str, plural: str, view: Any) -> Case:
    return Case(
        name,
        "GET",
        f"{path}?page=2&limit=5",
        operation,
        PAGE_TWO,
        {plural: [view], "total": 7},
        {plural: [view], "pagination": OF_SEVEN, "nextCursor": None},
    )


def told(name: str, operation: str, data: Any) -> Case:
    path = f"/analytics/{operation}?from={NOON}&to={NIGHT}&teamId={ID}"
    asked = {"from": NOON, "to": NIGHT, "teamId": ID} | ({"timezone": "UTC"} if operation == "summary" else {})
    return Case(name, "GET", path, f"incidents.{operation}", asked, data, data)


def changed(name: str, verb: str, body: Any) -> Case:
    asked = {"id": ID} | (body or {})
    data = {"incident": v.INCIDENT}
    return Case(name, "POST", f"{INCIDENT}/{verb}", f"incidents.{verb}", asked, v.INCIDENT, data, body)


def standing(verb: str) -> Case:
    path, operation = f"/users/{ID}/{verb}", f"auth.{verb}_user"
    return Case(f"{verb}User", "POST", path, operation, {"id": ID}, v.USER_VIEW, {"user": v.USER_VIEW})


def got(name: str, path: str, operation: str, asked: Any, key: str, view: Any) -> Case:
    return Case(name, "GET", path, operation, asked, view, {key: view})


def made(name: str, path: str, operation: str, body: Any, key: str, view: Any, **from_path: str) -> Case:
    return Case(name, "POST", path, operation, body | from_path, view, {key: view}, body, 201)


def patched(name: str, path: str, operation: str, body: Any, key: str, view: Any) -> Case:
    return Case(name, "PATCH", path, operation, body | {"id": ID}, view, {key: view}, body)


def gone(name: str, path: str, operation: str, asked: Any, *, silent: bool = False) -> Case:
    """`silent`: its service answers nothing at all."""
    return Case(name, "DELETE", path, operation, asked, None if silent else {}, {})


PROFILE = {"firstName": "Jo", "phone": None}
JOIN = {"inviteToken": "invite_1", "password": "secret", "firstName": "Jo", "lastName": "Ek"}
INVITE = {"email": "jo@company.com", "roles": ["user"], "teamIds": []}
INVITED = {"invite": v.INVITE}
FORGOT = {"email": "jo@company.com"}
RESET = {"token": "reset_1", "newPassword": "secret"}
TOKEN = {"token": "verify_1"}
CONFIRMED = {"confirmEmail": "jo@company.com"}
USER_DATA = {"user": v.USER_VIEW}
FILTER = {"status": "created", "priority": "high", "assignedTo": ID} | PAGE_TWO
FOUND = {"incidents": [v.INCIDENT], "total": 7, "totalIsEstimate": False, "nextCursor": "later"}
RANGE = {"scheduleId": ID, "from": NOON, "to": NIGHT}
OF_SCHEDULE = {"scheduleId": ID, "overrideId": ID}
NOBODY = {"currentOnCall": None}
BOTH_IDS = {"id": ID, "userId": str(USER)}
MANAGER = {"userId": str(USER), "role": "manager"}
METHODS = {"provider": True, "captcha": False}
CAPTCHA = {"parameters": {"algorithm": "PBKDF2/SHA-256"}, "signature": "5f"}
FETCH = {"code": "c", "codeVerifier": "v" * 43, "platform": "ios"}

_SEEN = {"state": "displayed", "at": NOON}
SAID, END = {"message": "new disks"}, {"enabled": False}
_MAINTENANCE = {"maintenance": v.MAINTENANCE}
_FEATURE, SHARE = {"feature": v.FEATURE}, {"percentage": 20}
RULE = {"enabled": True, "percentage": 20, "userIds": [ID]}
ROLLED, FLAG = "auth.roll_out_feature", {"flag": "bulk"}
CASES = [
    Case("login", "POST", "/auth/login", "auth.login", LOGIN, v.SIGNED_IN, v.SIGNED_IN, LOGIN),
    Case("oidcToken", "POST", "/auth/oidc/token", "auth.oidc_token", FETCH, v.SIGNED_IN, v.SIGNED_IN, FETCH),
    Case("partIdentities", "DELETE", f"/users/{ID}/identities", "auth.part_identities", {"id": ID}, None, {}),
    Case("getSignInMethods", "GET", "/auth/methods", "auth.sign_in_methods", {}, METHODS, METHODS),
    Case("captcha", "GET", "/auth/captcha", "auth.captcha", {}, CAPTCHA, CAPTCHA),
    Case("revokeToken", "DELETE", "/auth/token", "auth.revoke_token", {}, None, {}, None),
    Case("logout", "POST", "/auth/logout", "auth.logout", {"deviceId": "phone"}, None, {}, {"deviceId": "phone"}),
    Case(
        "changePassword",
        "POST",
        "/auth/password/change",
        "auth.change_password",
        CHANGE_PASSWORD,
        v.TOKENS,
        {"tokens": v.TOKENS},
        CHANGE_PASSWORD,
    ),
    Case(
        "register",
        "POST",
        "/auth/register",
        "auth.register",
        JOIN,
        v.USER_VIEW | {"tokens": v.TOKENS, "deviceCredential": "a credential"},
        {"user": v.USER_VIEW, "tokens": v.TOKENS, "deviceCredential": "a credential"},
        JOIN,
        201,
    ),
    made("invite", "/invites", "auth.invite", INVITE, "invite", v.INVITE),
    paged("listInvites", "/invites", "auth.invites", "invites", v.INVITE),
    Case("resendInvite", "POST", f"/invites/{ID}/resend", "auth.resend_invite", {"id": ID}, v.INVITE, INVITED),
    Case("getInvite", "GET", f"/invites/{ID}", "auth.get_invite", {"id": ID}, v.INVITE, {"invite": v.INVITE}),
    gone("revokeInvite", f"/invites/{ID}", "auth.revoke_invite", {"id": ID}),
    Case("forgotPassword", "POST", "/auth/password/forgot", "auth.forgot_password", FORGOT, {}, {}, FORGOT, 202),
    Case("resetPassword", "POST", "/auth/password/reset", "auth.reset_password", RESET, None, {}, RESET),
    Case("verifyEmail", "POST", "/auth/email/verify", "auth.verify_email", TOKEN, v.USER_VIEW, USER_DATA, TOKEN),
    Case("askToVerify", "POST", "/users/me/email/verification", "auth.ask_to_verify", {}, {}, {}, None, 202),
    Case(
        "makeResetLink",
        "POST",
        f"/users/{ID}/password/reset-link",
        "auth.reset_link",
        {"id": ID},
        {"link": None},
        {"link": None},
    ),
    Case("unlockUser", "POST", f"/users/{ID}/unlock", "auth.unlock", {"id": ID}, None, {}),
    paged("listSessions", "/auth/sessions", "auth.sessions", "sessions", v.SESSION),
    Case("endOtherSessions", "DELETE", "/auth/sessions", "auth.end_sessions", {}, None, {}),
    Case("endSession", "DELETE", f"/auth/sessions/{ID}", "auth.end_session", {"id": ID}, None, {}),
    Case(
        "listSessionsOf",
        "GET",
        f"/users/{USER}/sessions?page=2&limit=5",
        "auth.sessions",
        PAGE_TWO | {"userId": str(USER)},
        {"sessions": [v.SESSION], "total": 7},
        {"sessions": [v.SESSION], "pagination": OF_SEVEN, "nextCursor": None},
    ),
    Case("endSessionsOf", "DELETE", f"/users/{ID}/sessions", "auth.end_sessions", {"userId": ID}, None, {}),
    Case("endSessionOf", "DELETE", f"/users/{USER}/sessions/{ID}", "auth.end_session", BOTH_IDS, None, {}),
    Case(
        "removeDeviceOf",
        "DELETE",
        f"/users/{ID}/devices/a%2Fb",
        "auth.lose_device",
        {"userId": ID, "deviceId": "a/b"},
        None,
        {},
    ),
    got("getSecondFactor", "/users/me/totp", "auth.second_factor", {}, "secondFactor", v.SECOND_FACTOR),
    Case("beginTotp", "POST", "/users/me/totp", "auth.begin_totp", {}, v.TOTP, v.TOTP),
    Case(
        "confirmTotp",
        "POST",
        "/users/me/totp/confirm",
        "auth.confirm_totp",
        {"code": "123456"},
        {"recoveryCodes": ["a"]},
        {"recoveryCodes": ["a"]},
        {"code": "123456"},
    ),
    Case("removeTotp", "DELETE", "/users/me/totp", "auth.remove_totp", {"code": "1"}, {}, {}, {"code": "1"}),
    Case("takeTotp", "DELETE", f"/users/{ID}/totp", "auth.take_totp", {"id": ID}, None, {}),
    made("registerUser", "/users", "auth.register_user", REGISTER, "user", v.USER_VIEW),
    paged("listUsers", "/users", "auth.users", "users", v.USER_VIEW),
    got("getMe", "/users/me", "auth.me", {}, "user", v.USER_VIEW),
    got("getUser", f"/users/{ID}", "auth.user", {"id": ID}, "user", v.USER_VIEW),
    Case("changeMe", "PATCH", "/users/me", "auth.change_me", PROFILE, v.USER_VIEW, {"user": v.USER_VIEW}, PROFILE),
    patched("changeUser", f"/users/{ID}", "auth.change_user", PROFILE | {"roles": ["lead"]}, "user", v.USER_VIEW),
    made("createTeam", "/teams", "auth.create_team", {"name": "Core"}, "team", v.TEAM),
    paged("listTeams", "/teams", "auth.teams", "teams", v.TEAM),
    got("getTeam", f"/teams/{ID}", "auth.team", {"id": ID}, "team", v.TEAM),
    patched("changeTeam", f"/teams/{ID}", "auth.change_team", {"description": None}, "team", v.TEAM),
    gone("deleteTeam", f"/teams/{ID}", "auth.delete_team", {"id": ID}),
    Case(
        "listMembers",
        "GET",
        f"/teams/{ID}/members?page=2&limit=5",
        "auth.members",
        {"id": ID} | PAGE_TWO,
        {"members": [v.MEMBER], "total": 7},
        {"members": [v.MEMBER], "pagination": OF_SEVEN, "nextCursor": None},
    ),
    made("setMember", f"/teams/{ID}/members", "auth.set_member", MANAGER, "member", v.MEMBER, id=ID),
    Case(
        "changeMember",
        "PATCH",
        f"/teams/{ID}/members/{USER}",
        "auth.change_member",
        BOTH_IDS | {"role": "member"},
        v.MEMBER,
        {"member": v.MEMBER},
        {"role": "member"},
    ),
    Case("getMember", "GET", f"/teams/{ID}/members/{USER}", "auth.member", BOTH_IDS, v.MEMBER, {"member": v.MEMBER}),
    gone("removeMember", f"/teams/{ID}/members/{USER}", "auth.remove_member", BOTH_IDS),
    standing("deactivate"),
    standing("reactivate"),
    made("registerDevice", "/devices", "auth.register_device", REGISTER_DEVICE, "device", v.DEVICE),
    paged("listDevices", "/devices", "auth.devices", "devices", v.DEVICE),
    Case("getDevice", "GET", "/devices/a%2Fb", "auth.device", {"deviceId": "a/b"}, v.DEVICE, {"device": v.DEVICE}),
    got("getWebPushKey", "/devices/web-push-key", "notifier.web_push_key", {}, "webPushKey", v.WEB_PUSH_KEY),
    Case(
        "testDevice",
        "POST",
        "/devices/a%2Fb/test",
        "notifier.test_device",
        {"deviceId": "a/b"},
        v.NOTIFICATION,
        {"notification": v.NOTIFICATION},
        status=202,
    ),
    Case("removeDevice", "DELETE", "/devices/a%2Fb", "auth.remove_device", {"deviceId": "a/b"}, None, {}),
    Case(
        "listIncidents",
        "GET",
        f"/incidents?status=created&priority=high&assigned_to={ID}&page=2&limit=5",
        "incidents.list",
        FILTER,
        FOUND,
        {"incidents": [v.INCIDENT], "pagination": FULL, "nextCursor": "later"},
    ),
    Case(
        "listIncidents",
        "GET",
        f"/incidents?q=disk%20full&integrationId={ID}&from=2026-03-02T09:00:00Z&to=2026-03-03T09:00:00%2B01:00"
        "&metadata.labels.host=db-1&metadata.env=&sort=priority&cursor=later&limit=5",
        "incidents.list",
        {
            "limit": 5,
            "cursor": "later",
            "status": None,
            "priority": None,
            "assignedTo": None,
            "q": "disk full",
            "integrationId": ID,
            "from": "2026-03-02T09:00:00Z",
            "to": "2026-03-03T08:00:00Z",
            "metadata": {"labels.host": "db-1", "env": ""},
            "sort": "priority",
        },
        {"incidents": [v.INCIDENT], "total": 7},
        {"incidents": [v.INCIDENT], "pagination": {"limit": 5, "total": 7}, "nextCursor": None},
    ),
    made("createIncident", "/incidents", "incidents.create", CREATE, "incident", v.INCIDENT),
    got("getIncident", INCIDENT, "incidents.get", {"id": ID}, "incident", v.INCIDENT),
    patched(
        "editIncident", INCIDENT, "incidents.edit", {"description": None, "priority": "low"}, "incident", v.INCIDENT
    ),
    changed("acknowledgeIncident", "acknowledge", {"notes": "looking"}),
    changed("resolveIncident", "resolve", None),
    changed("closeIncident", "close", {}),
    changed("reopenIncident", "reopen", None),
    changed("reassignIncident", "reassign", {"assignedTo": ID, "notes": "yours"}),
    changed("snoozeIncident", "snooze", {"minutes": 0.5}),
    changed("escalateIncident", "escalate", {"level": 2}),
    changed("suppressIncident", "suppress", {"minutes": 60, "reason": "the rack moves"}),
    changed("addResponders", "responders", {"userIds": [ID]}),
    made("addNote", f"{INCIDENT}/notes", "incidents.note", {"text": "the replica lags"}, "note", v.NOTE, id=ID),
    Case(
        "getTimeline",
        "GET",
        f"{INCIDENT}/timeline?cursor=abc&limit=7",
        "incidents.timeline",
        {"id": ID, "cursor": "abc", "limit": 7},
        v.TIMELINE,
        v.TIMELINE,
    ),
    Case(
        "getIncidentAudit",
        "GET",
        f"{INCIDENT}/audit?cursor=abc&limit=7",
        "incidents.incident_audit",
        {"id": ID, "cursor": "abc", "limit": 7},
        v.INCIDENT_AUDIT,
        v.INCIDENT_AUDIT,
    ),
    Case(
        "listAlerts",
        "GET",
        f"{INCIDENT}/alerts?state=open&sort=-createdAt&page=2&limit=5",
        "incidents.alerts",
        {"id": ID, "state": "open", "sort": "-createdAt"} | PAGE_TWO,
        {"alerts": [v.ALERT], "total": 7},
        {"alerts": [v.ALERT], "pagination": OF_SEVEN, "nextCursor": None},
    ),
    Case(
        "explainIncident",
        "GET",
        f"{INCIDENT}/explain?userId={USER}",
        "incidents.explain",
        BOTH_IDS,
        v.EXPLANATION,
        v.EXPLANATION,
    ),
    Case(
        "draftReview",
        "POST",
        f"{INCIDENT}/review",
        "incidents.draft_review",
        {"id": ID},
        v.REVIEW,
        {"review": v.REVIEW},
        status=201,
    ),
    got("getReview", f"{INCIDENT}/review", "incidents.review", {"id": ID}, "review", v.REVIEW),
    patched("changeReview", f"{INCIDENT}/review", "incidents.change_review", {"text": "why"}, "review", v.REVIEW),
    gone("deleteReview", f"{INCIDENT}/review", "incidents.delete_review", {"id": ID}),
    told("getAnalyticsSummary", "summary", v.SUMMARY),
    told("getAnalyticsResponse", "response", v.RESPONSE),
    told("getAnalyticsLoad", "load", v.LOAD),
    told("getAnalyticsNoise", "noise", v.NOISE),
    made("createSchedule", "/on-call/schedules", "oncall.create_schedule", CREATE_SCHEDULE, "schedule", v.SCHEDULE),
    paged("listSchedules", "/on-call/schedules", "oncall.schedules", "schedules", v.SCHEDULE),
    got("getSchedule", SCHEDULE, "oncall.schedule", {"id": ID}, "schedule", v.SCHEDULE),
    patched("changeSchedule", SCHEDULE, "oncall.change_schedule", {"description": None}, "schedule", v.SCHEDULE),
    Case(
        "listShifts",
        "GET",
        f"{SCHEDULE}/shifts?from={NOON}&to={NIGHT}",
        "oncall.shifts",
        RANGE,
        {"shifts": [v.SHIFT]},
        {"shifts": [v.SHIFT]},
    ),
    made(
        "addOverride", f"{SCHEDULE}/overrides", "oncall.add_override", OVERRIDE, "override", v.OVERRIDE, scheduleId=ID
    ),
    Case(
        "listOverrides",
        "GET",
        f"{SCHEDULE}/overrides?page=2&limit=5",
        "oncall.overrides",
        {"scheduleId": ID} | PAGE_TWO,
        {"overrides": [v.OVERRIDE], "total": 7},
        {"overrides": [v.OVERRIDE], "pagination": OF_SEVEN, "nextCursor": None},
    ),
    got("getOverride", f"{SCHEDULE}/overrides/{ID}", "oncall.override", OF_SCHEDULE, "override", v.OVERRIDE),
    Case(
        "cancelOverride",
        "DELETE",
        f"{SCHEDULE}/overrides/{ID}",
        "oncall.cancel_override",
        OF_SCHEDULE,
        v.OVERRIDE,
        {"override": v.OVERRIDE},
    ),
    Case(
        "getCurrentOnCall",
        "GET",
        f"/on-call/current?scheduleId={ID}",
        "oncall.current",
        {"scheduleId": ID, "at": None},
        NOBODY,
        NOBODY,
    ),
    Case(
        "listOnCall",
        "GET",
        f"/on-call?at={NOON}&page=2&limit=5",
        "oncall.on_call",
        {"scheduleId": None, "at": NOON} | PAGE_TWO,
        {"onCall": [v.ON_CALL], "total": 7},
        {"onCall": [v.ON_CALL], "pagination": OF_SEVEN, "nextCursor": None},
    ),
    Case("eraseUser", "DELETE", f"/users/{ID}", "auth.erase_user", {"id": ID} | CONFIRMED, {}, {}, CONFIRMED),
    made("createPolicy", "/escalation/policies", "escalation.create_policy", CREATE_POLICY, "policy", v.POLICY),
    paged("listPolicies", "/escalation/policies", "escalation.policies", "policies", v.POLICY),
    got("getPolicy", f"/escalation/policies/{ID}", "escalation.policy", {"id": ID}, "policy", v.POLICY),
    patched(
        "changePolicy", f"/escalation/policies/{ID}", "escalation.change_policy", {"repeat": 0}, "policy", v.POLICY
    ),
    gone("deletePolicy", f"/escalation/policies/{ID}", "escalation.delete_policy", {"id": ID}),
    gone("deleteSchedule", SCHEDULE, "oncall.delete_schedule", {"id": ID}),
    made(
        "createIntegration",
        "/integrations",
        "incidents.create_integration",
        {"name": "x"},
        "integration",
        v.INTEGRATION,
    ),
    paged("listIntegrations", "/integrations", "incidents.integrations", "integrations", v.INTEGRATION),
    got("getIntegration", f"/integrations/{ID}", "incidents.integration", {"id": ID}, "integration", v.INTEGRATION),
    patched(
        "changeIntegration",
        f"/integrations/{ID}",
        "incidents.change_integration",
        {"policyId": None},
        "integration",
        v.INTEGRATION,
    ),
    gone("deleteIntegration", f"/integrations/{ID}", "incidents.delete_integration", {"id": ID}),
    Case(
        "addIntegrationKey",
        "POST",
        f"/integrations/{ID}/keys",
        "incidents.add_integration_key",
        {"id": ID},
        v.INTEGRATION_KEY,
        {"key": v.INTEGRATION_KEY},
        status=201,
    ),
    gone(
        "revokeIntegrationKey",
        f"/integrations/{ID}/keys/{ID}",
        "incidents.revoke_integration_key",
        {"id": ID, "keyId": ID},
    ),
    made(
        "createApiKey",
        "/api-keys",
        "auth.create_api_key",
        {"name": "Deploys", "scopes": ["incidents.read"], "teamId": ID},
        "apiKey",
        v.API_KEY,
    ),
    paged("listApiKeys", "/api-keys", "auth.api_keys", "apiKeys", v.API_KEY),
    got("getApiKey", f"/api-keys/{ID}", "auth.api_key", {"id": ID}, "apiKey", v.API_KEY),
    patched("changeApiKey", f"/api-keys/{ID}", "auth.change_api_key", {"expiresAt": None}, "apiKey", v.API_KEY),
    gone("revokeApiKey", f"/api-keys/{ID}", "auth.revoke_api_key", {"id": ID}, silent=True),
    Case(
        "takeOverApiKey",
        "POST",
        f"/api-keys/{ID}/take-over",
        "auth.take_over_api_key",
        {"id": ID},
        v.API_KEY,
        {"apiKey": v.API_KEY},
    ),
    Case(
        "addApiKeySecret",
        "POST",
        f"/api-keys/{ID}/secrets",
        "auth.add_api_key_secret",
        {"id": ID},
        v.SECRET,
        {"secret": v.SECRET},
        status=201,
    ),
    gone(
        "removeApiKeySecret",
        f"/api-keys/{ID}/secrets/{ID}",
        "auth.remove_api_key_secret",
        {"id": ID, "secretId": ID},
        silent=True,
    ),
    Case(
        "listNotifications",
        "GET",
        f"/notifications?incidentId={ID}&cursor=later",
        "notifier.list",
        {"incidentId": ID, "cursor": "later"},
        {"notifications": [v.NOTIFICATION], "total": 101, "nextCursor": None},
        {"notifications": [v.NOTIFICATION], "pagination": {"limit": 100, "total": 101}, "nextCursor": None},
    ),
    got("getNotification", f"/notifications/{ID}", "notifier.get", {"id": ID}, "notification", v.NOTIFICATION),
    Case(
        "recordReceipt",
        "POST",
        f"/notifications/{ID}/receipts",
        "notifier.receipt",
        {"id": ID, **_SEEN},
        None,
        {},
        _SEEN,
    ),
    Case("getMaintenance", "GET", "/admin/maintenance", "auth.maintenance", {}, v.MAINTENANCE, _MAINTENANCE),
    Case(
        "setMaintenance", "POST", "/admin/maintenance", "auth.set_maintenance", SAID, v.MAINTENANCE, _MAINTENANCE, SAID
    ),
    Case("endMaintenance", "DELETE", "/admin/maintenance", "auth.set_maintenance", END, v.MAINTENANCE, _MAINTENANCE),
    Case(
        "listFeatures",
        "GET",
        "/admin/features",
        "auth.features",
        {},
        {"features": [v.FEATURE]},
        {"features": [v.FEATURE]},
    ),
    Case("setFeature", "PUT", "/admin/features/bulk", "auth.set_feature", RULE | FLAG, v.FEATURE, _FEATURE, RULE),
    Case(
        "enableFeature",
        "POST",
        "/admin/features/bulk/enable",
        "auth.set_feature",
        FLAG | {"enabled": True},
        v.FEATURE,
        _FEATURE,
    ),
    Case("rollOutFeature", "POST", "/admin/features/bulk/rollout", ROLLED, SHARE | FLAG, v.FEATURE, _FEATURE, SHARE),
    Case(
        "listAudit",
        "GET",
        f"/audit?resource=policies/{ID}&limit=5&from={NOON}",
        "escalation.audit",
        {"limit": 5, "kind": "policies", "resourceId": ID, "from": NOON},
        {"entries": [v.AUDIT_ENTRY], "more": False},
        {"entries": [v.AUDIT_ENTRY], "nextCursor": None},
    ),
]

ROUTES = {route.operation_id: route for one in _RESOURCES for route in one.router.routes if isinstance(route, APIRoute)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_route_forwards_its_request_and_answers_in_the_envelope(pager: World, case: Case) -> None:
    await pager.stubs.answer(case.operation, case.reply)

    answer = await pager.call(case.method, f"/api/v1{case.path}", case.body)

    assert answer.status == case.status, answer.raw
    assert answer.json == {"success": True, "data": case.data}
    assert pager.stubs.body(case.operation) == case.asked
    ROUTES[case.name].responses[case.status]["model"].model_validate_json(answer.raw)


def test_every_route_has_a_case() -> None:
    # A bulk asks for many things (test_many_incidents_are_changed_at_once), reports for nothing.
    elsewhere = {"refresh", "exportMe", "startOidc", "stream", "bulkIncidents", "sendClientReports"}
    assert {case.name for case in CASES} | elsewhere == set(ROUTES)


def test_what_is_let_through_is_there() -> None:
    assert ROUTES.keys() >= NEVER_STOPS | ANSWERS


async def test_a_device_says_when_it_was_last_heard_of(pager: World) -> None:
    tablet = {**v.DEVICE, "deviceId": "tablet"}
    await pager.stubs.answer("auth.devices", {"devices": [v.DEVICE, tablet], "total": 2})
    await pager.stubs.answer("auth.device", tablet)
    found = (await pager.call("GET", "/api/v1/devices")).json["data"]["devices"]
    assert [(one["deviceId"], one["lastReceiptAt"]) for one in found] == [("phone", None), ("tablet", NINE)]
    assert (await pager.call("GET", "/api/v1/devices/tablet")).json["data"]["device"]["lastReceiptAt"] == NINE


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/devices//test"), ("GET", "/devices/"), ("DELETE", "/devices/")]
)
async def test_a_device_without_a_name_is_the_callers_mistake(pager: World, method: str, path: str) -> None:
    answer = await pager.call(method, f"/api/v1{path}")
    assert (answer.status, answer.error["details"]["field"]) == (400, "deviceId")


async def test_a_device_is_tested_six_times_an_hour(pager: World) -> None:
    await pager.stubs.answer("notifier.test_device", v.NOTIFICATION)
    answers = [(await pager.call("POST", "/api/v1/devices/phone/test")).status for _ in range(7)]
    assert answers == [202] * 6 + [429]
    assert (await pager.call("POST", "/api/v1/devices/tablet/test")).status == 202
    pager.clock.advance(minutes=10)
    assert (await pager.call("POST", "/api/v1/devices/phone/test")).status == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [({"state": "seen", "at": NOON}, "state"), ({"state": "opened"}, "at"), ({"state": "opened", "at": "03:12"}, "at")],
)
async def test_a_receipt_that_says_nothing_is_refused_by_its_field(pager: World, body: Any, field: str) -> None:
    answer = await pager.call("POST", f"/api/v1/notifications/{ID}/receipts", body)
    assert (answer.status, answer.error["code"], answer.error["details"]["field"]) == (400, "VALIDATION_ERROR", field)


async def test_refresh_takes_its_token_from_the_authorization_header(pager: World) -> None:
    await pager.stubs.answer("auth.refresh", v.TOKENS)

    answer = await pager.call("POST", "/api/v1/auth/refresh", {"deviceId": "phone"}, token="opaque")

    assert answer.json == {"success": True, "data": {"tokens": v.TOKENS}}
    assert pager.stubs.body("auth.refresh") == {"refreshToken": "opaque", "deviceId": "phone"}
    assert Header.TOKEN not in pager.stubs.asked["auth.refresh"][-1].headers


async def test_refresh_without_a_token_is_a_401(pager: World) -> None:
    answer = await pager.call("POST", "/api/v1/auth/refresh", {"deviceId": "phone"}, token=None)

    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")


async def test_an_estimated_total_says_so(pager: World) -> None:
    await pager.stubs.answer("incidents.list", {"incidents": [], "total": 10_000, "totalIsEstimate": True})

    answer = await pager.call("GET", "/api/v1/incidents?assignedTo=" + ID)

    assert answer.json["data"]["pagination"] == {
        "page": 1, "limit": 20, "total": 10_000, "totalPages": 500, "totalIsEstimate": True
    }  # fmt: skip
    assert pager.stubs.body("incidents.list")["assignedTo"] == ID


@pytest.mark.parametrize(("following", "early"), [("later", {"endsEarly": True}), (None, {})])
async def test_a_page_says_that_its_answer_was_full(
    pager: World, following: str | None, early: dict[str, bool]
) -> None:
    found = {"incidents": [v.INCIDENT], "total": 7, "nextCursor": following}
    await pager.stubs.answer("incidents.list", found)
    pages = [(await pager.call("GET", f"/api/v1/incidents?limit={limit}")).json["data"] for limit in (5, 1)]
    numbers = {"page": 1, "total": 7}

    assert [page["pagination"] for page in pages] == [
        numbers | {"limit": 5, "totalPages": 2} | early,
        numbers | {"limit": 1, "totalPages": 7},
    ]
