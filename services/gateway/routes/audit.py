"""Who did what, and from where: the audits of all services as one, newest first (docs/adr/0062)."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from libs.contracts.audit import AUDITED_SERVICES, RESOURCES, AuditEntry, AuditPage, AuditPlace, AuditQuery
from libs.contracts.model import SentMoment
from services.gateway.envelope import Problem, success
from services.gateway.listing import Cursor, PageLimit
from services.gateway.responses import documented, listed
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/audit", tags=["audit"], route_class=PagerRoute, dependencies=[SIGNED_IN])

_FROM = Query(alias="from", description="Of this moment and later.")
_TO = Query(description="Of before this moment.")
_RESOURCE = Query(
    max_length=255,
    description=f"`<kind>`, or `<kind>/<id>`; kinds are {', '.join(RESOURCES)}.",
    examples=["policies", "users/7c9e6679-7425-40de-944b-e07fc1f90ae7"],
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
    kind, _, resource_id = (resource or "").partition("/")
    if kind and kind not in RESOURCES:
        raise Problem.invalid("resource", f"must begin with one of {', '.join(RESOURCES)}")
    asked = {
        "from_": from_,
        "to": to,
        "actor_id": actor_id,
        "kind": kind or None,
        "resource_id": resource_id or None,
        "after": None if cursor is None else _place(cursor),
    }
    query = AuditQuery(limit=limit, **{name: value for name, value in asked.items() if value is not None})
    services = (RESOURCES[kind],) if kind else AUDITED_SERVICES
    # One that does not answer is an error: a page with what the others know would look whole.
    found = await asyncio.gather(*(ask.query(service, "audit", query) for service in services))
    page = merged((AuditPage.model_validate(one) for one in found), limit)
    following = _cursor(page.entries[-1]) if page.more and page.entries else None
    entries = [entry.model_dump(mode="json", by_alias=True) for entry in page.entries]
    return success({"entries": entries, "nextCursor": following})


def merged(pages: Iterable[AuditPage], limit: int) -> AuditPage:
    """The newest of several services' pages. Of a page that was cut nobody knows what is older than its last entry."""
    known = list(pages)
    cut = [page.entries[-1] for page in known if page.more and page.entries]
    since = max(map(_key, cut), default=None)
    entries = sorted((entry for page in known for entry in page.entries), key=_key, reverse=True)
    sure = [entry for entry in entries if since is None or _key(entry) >= since]
    return AuditPage(entries=tuple(sure[:limit]), more=bool(cut) or len(sure) > limit)


def _key(entry: AuditEntry) -> tuple[object, ...]:
    return entry.at, entry.event_id


def _cursor(entry: AuditEntry) -> str:
    return urlsafe_b64encode(AuditPlace(at=entry.at, event_id=entry.event_id).to_json()).decode().rstrip("=")


def _place(cursor: str) -> AuditPlace:
    try:
        return AuditPlace.model_validate_json(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise Problem.invalid("cursor", "must be the nextCursor of another page of this list") from None
