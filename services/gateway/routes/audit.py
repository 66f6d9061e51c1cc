"""Who did what, and from where: the audits of all services as one, newest first (docs/adr/0062)."""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from itertools import zip_longest
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from libs.contracts.audit import AUDITED_SERVICES, RESOURCES, AuditEntry, AuditPage, AuditPlace, AuditQuery
from libs.contracts.model import SentMoment
from services.gateway.envelope import Problem, success
from services.gateway.listing import Cursor, PageLimit, check_period
from services.gateway.responses import documented, listed
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/audit", tags=["audit"], route_class=PagerRoute, dependencies=[SIGNED_IN])

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_FROM = Query(alias="from", description="Of this moment and later.")
_TO = Query(description="Of before this moment.")
_RESOURCE = Query(
    max_length=255,
    description=f"`<kind>`, or `<kind>/<id>`; kinds are {', '.join(RESOURCES)}.",
    examples=["policies", "users/7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    json_schema_extra={"pattern": f"^({'|'.join(RESOURCES)})(/.+)?$"},
)


@router.get(
    "",
    operation_id="listAudit",
    summary="Who did what, and from where (admin)",
    responses=documented(listed("entries", AuditEntry, "Audit")),
)
async def list_audit(
    ask: Asking,
    from_: Annotated[SentMoment | None, _FROM] = None,
    to: Annotated[SentMoment | None, _TO] = None,
    actor_id: Annotated[UUID | None, Query(alias="actorId", description="A person or an API key.")] = None,
    resource: Annotated[str | None, _RESOURCE] = None,
    limit: PageLimit = 20,
    cursor: Cursor = None,
) -> Response:
    """Newest first. `old` and `new` are what was changed, before and after. Where somebody was is not known of what
    Pager did by itself, and is `[erased]` where the person is; what became of an incident stands in its timeline.
    `resource=requests` is the access log: every request of the last 90 days, with its status as `new`.
    """
    check_period(from_, to)
    kind, resource_id = (None, None) if resource is None else _named(resource)
    services = (RESOURCES[kind],) if kind else AUDITED_SERVICES
    owner, seal, after = ("", None, None) if cursor is None else _read(cursor, services)
    asked = {
        "from_": from_,
        "to": to,
        "actor_id": actor_id,
        "kind": kind,
        "resource_id": resource_id,
        "after": after,
    }
    query = AuditQuery(limit=limit, **{name: value for name, value in asked.items() if value is not None})
    sealed = query.model_copy(update={"cursor": seal})
    # One that does not answer is an error: a page with what the others know would look whole. So is the refusal of
    # whose entry the last one was: only there is it known whether the place was told by us.
    questions = (ask.query(one, "audit", sealed if one == owner else query) for one in services)
    found = zip(services, await asyncio.gather(*questions), strict=True)
    page = merged({service: AuditPage.model_validate(one) for service, one in found}, limit)
    following = _cursor(page) if page.more and page.entries else None
    entries = [entry.model_dump(mode="json", by_alias=True) for entry in page.entries]
    return success({"entries": entries, "nextCursor": following})


def _named(resource: str) -> tuple[str, str | None]:
    """Kind and id. Raises Problem (400): an id that a script has forgotten would silently be everybody's."""
    kind, parted, name = resource.partition("/")
    if kind not in RESOURCES:
        raise Problem.invalid("resource", f"must begin with one of {', '.join(RESOURCES)}")
    if parted and not name:
        raise Problem.invalid("resource", f"there is no id behind {kind}/")
    # Ids are kept as they are told, and people may have them from elsewhere.
    return kind, (name.lower() if _UUID.fullmatch(name) else name) or None


def merged(pages: Mapping[str, AuditPage], limit: int) -> AuditPage:
    """The newest of several services' pages, each cursor as `<service>.<its cursor>`.

    Of a page that was cut nobody knows what is older than its last entry.
    """
    known = pages.values()
    cut = [page.entries[-1] for page in known if page.more and page.entries]
    since = max(map(_key, cut), default=None)
    told = [
        (entry, f"{service}.{sealed}")
        for service, page in pages.items()
        for entry, sealed in zip_longest(page.entries, page.cursors, fillvalue="")
        if isinstance(entry, AuditEntry) and (since is None or _key(entry) >= since)
    ]
    told.sort(key=lambda one: _key(one[0]), reverse=True)
    entries, cursors = tuple(entry for entry, _ in told[:limit]), tuple(sealed for _, sealed in told[:limit])
    return AuditPage(entries=entries, more=bool(cut) or len(told) > limit, cursors=cursors)


def _key(entry: AuditEntry) -> tuple[object, ...]:
    return entry.at, entry.event_id


def _cursor(page: AuditPage) -> str:
    """`<service>.<what it has sealed>.<the place>`: all are told where it is, and whoever has sealed it checks it."""
    sealed = page.cursors[-1]
    if sealed.endswith("."):  # a service of the release before seals nothing
        raise Problem("UNAVAILABLE", "a service is being replaced: try again in a moment", headers={"Retry-After": "5"})
    return f"{sealed}.{_text(AuditPlace.of(page.entries[-1]))}"


def _read(cursor: str, services: Collection[str]) -> tuple[str, str, AuditPlace]:
    """Raises Problem (400): it has another form than ours, or is of a list of other services."""
    service, _, rest = cursor.partition(".")
    sealed, _, written = rest.partition(".")
    try:
        place = AuditPlace.model_validate_json(urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    except ValueError:
        raise _foreign() from None
    if service not in services or not sealed or written != _text(place):
        raise _foreign()
    return service, sealed, place


def _foreign() -> Problem:
    return Problem.invalid("cursor", "must be the nextCursor of another page of this list")


def _text(place: AuditPlace) -> str:
    return urlsafe_b64encode(place.to_json()).decode().rstrip("=")
