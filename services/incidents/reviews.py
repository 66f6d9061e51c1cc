"""Reviews: who may draft, read and change them, and how they are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Before, Requests
from libs.chassis.store.work import Decider, Work
from libs.contracts.leniency import storable
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Invalid, Nothing
from libs.contracts.reviews import ActionItem, ChangeReview, ReviewView, review_of
from services.incidents import sights
from services.incidents.domain import review
from services.incidents.domain.decisions import NoSuchIncident
from services.incidents.domain.review import DeleteReview, DraftReview, EditReview, NoSuchReview, NotOverYet
from services.incidents.drafting import draft
from services.incidents.erased import people_in, without
from services.incidents.projections import reviews
from services.incidents.references import References, erased
from services.incidents.review_rows import review_view
from services.incidents.views import incident_view, timeline_of

REVIEW: Decider[review.Review, review.Command] = Decider(review.initial, review.evolve, review.decide)
_VIEW = select(reviews.c.view).where(reviews.c.incident_id == bindparam("id", type_=Uuid))


def add_reviews(requests: Requests, references: References, pages_arrive: Before) -> None:
    """`draft_review`, `review`, `change_review` and `delete_review`, each by the incident's `id`."""

    def of_incident(body: Any, _caller: Caller) -> UUID:
        return review_of(body.id)

    async def owners_exist(body: ChangeReview, caller: Caller) -> None:
        await pages_arrive(body, caller)
        owners = [item.owner_id for item in body.action_items or ()]
        nobody = await references.nobodies({owner for owner in owners if owner is not None})
        for number, owner in enumerate(owners):
            if owner in nobody:
                raise Invalid("there is no such person", field=f"actionItems.{number}.ownerId")

    @requests.handle("draft_review", ById, action=Action.INCIDENTS_WRITE, arrives=pages_arrive, turn=of_incident)
    def draft_review(work: Work, body: ById, caller: Caller) -> ReviewView:
        sights.check(work, body.id, caller, "review", Action.INCIDENTS_WRITE)
        if work.state(REVIEW, review_of(body.id)).drafted is None:
            _draft(work, body.id, caller)
        return _decided(work, body.id)

    @requests.handle(
        "change_review",
        ChangeReview,
        action=Action.INCIDENTS_WRITE,
        before=owners_exist,
        versioned=REVIEW,
        entity=of_incident,
    )
    def change_review(work: Work, body: ChangeReview, caller: Caller) -> ReviewView:
        sights.check(work, body.id, caller, "review", Action.INCIDENTS_WRITE)
        wanted = ChangeReview.model_validate(storable(body.model_dump(mode="json", exclude_unset=True)))
        work.decide(REVIEW, review_of(body.id), _edit(work, wanted, caller), caller.cause(work))
        return _decided(work, body.id)

    @requests.handle(
        "delete_review",
        ById,
        action=Action.INCIDENTS_WRITE,
        before=pages_arrive,
        versioned=REVIEW,
        entity=of_incident,
    )
    def delete_review(work: Work, body: ById, caller: Caller) -> Nothing:
        sights.check(work, body.id, caller, "review", Action.INCIDENTS_WRITE)
        work.decide(REVIEW, review_of(body.id), DeleteReview(caller.actor, work.now), caller.cause(work))
        return Nothing()

    @requests.query("review", ById, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def get_review(work: Work, body: ById, caller: Caller) -> ReviewView:
        sights.find(work, body.id, caller)
        rows = work.fetch(_VIEW, id=body.id)
        if not rows:
            raise NoSuchReview
        return _told(work, ReviewView.model_validate(rows[0]["view"]))


def _draft(work: Work, incident_id: UUID, caller: Caller) -> None:
    incident = incident_view(work, incident_id)
    if incident is None:
        raise NoSuchIncident
    if incident.resolved_at is None:
        raise NotOverYet
    text = str(storable(draft(incident, timeline_of(work, incident_id).rows)))
    work.decide(
        REVIEW, review_of(incident_id), DraftReview(incident_id, text, caller.actor, work.now), caller.cause(work)
    )


def _edit(work: Work, wanted: ChangeReview, caller: Caller) -> EditReview:
    edit = EditReview(caller.actor, work.now, text=wanted.text, published=wanted.published)
    if wanted.action_items is None:
        return edit
    items = tuple(ActionItem(**one.model_dump() | {"id": one.id or work.new_id()}) for one in wanted.action_items)
    new = frozenset(made.id for made, one in zip(items, wanted.action_items, strict=True) if one.id is None)
    return replace(edit, action_items=items, new=new)


def _decided(work: Work, incident_id: UUID) -> ReviewView:
    review_id = review_of(incident_id)
    return _told(work, review_view(work.state(REVIEW, review_id), review_id, work.version(review_id)))


def _told(work: Work, view: ReviewView) -> ReviewView:
    """Whoever was erased is named in it no more, though what people wrote stays."""
    owners = {item.owner_id for item in view.action_items if item.owner_id is not None}
    gone = erased(work, people_in(view.text) | owners)
    if not gone:
        return view
    return view.model_copy(update={"text": without(view.text, gone), "erased": tuple(sorted(gone))})
