"""What the gateway asks of incidents: commands and queries of people, authorised here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Before, Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.incident_alerts import (
    AlertList,
    Balance,
    BalanceQuery,
    FindAlerts,
    FindOutcome,
    ListAlerts,
    Outcomes,
)
from libs.contracts.incident_lists import ENGLISH, Language, SearchIncidents
from libs.contracts.incidents import (
    CreateIncident,
    EditIncident,
    ExplainQuery,
    Explanation,
    FindExplanation,
    IncidentExplained,
    IncidentList,
    IncidentView,
    Timeline,
    TimelineQuery,
)
from libs.contracts.integrations import (
    ChangeIntegration,
    CreatedKeyView,
    CreateIntegration,
    IntegrationList,
    IntegrationView,
    RevokeKey,
)
from libs.contracts.leniency import storable
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ListPage, NotFound, Nothing
from libs.contracts.streaming import States, StatesQuery
from services.incidents import application, integrations, sights
from services.incidents.acts import add_acts, decided
from services.incidents.alert_views import balance, find_outcomes, list_alerts
from services.incidents.analytics.doors import add_analytics
from services.incidents.analytics.night import Night
from services.incidents.application import INCIDENT
from services.incidents.bulk import add_bulk
from services.incidents.changes import add_incident_audit
from services.incidents.domain import decisions
from services.incidents.domain.integration import CreateIntegration as IntegrationWanted
from services.incidents.domain.integration import NoSuchIntegration
from services.incidents.explain import entries, explain
from services.incidents.export import exported
from services.incidents.finding import find_incident
from services.incidents.inputs import StoredInputs
from services.incidents.integrations import INTEGRATION
from services.incidents.listing import list_incidents
from services.incidents.projections import SCHEMA, audit
from services.incidents.references import References, erased
from services.incidents.reviews import add_reviews
from services.incidents.sights import Sights
from services.incidents.states import states
from services.incidents.team_uses import add_team_uses
from services.incidents.timing import NO_TIME
from services.incidents.views import (
    incident_view,
    timeline_of,
    timeline_page,
)


def api(
    references: References,
    seen: Sights,
    reopen_within: timedelta | None = None,
    quiet_for: timedelta = NO_TIME,
    night: Night | None = None,
    language: Language = ENGLISH,
) -> Requests:
    """`references`: what is known of the people, policies and teams that a request names. `seen`: who sees what.

    `reopen_within`: so long after it was resolved an incident may be reopened. `quiet_for`: of `timing.fire`. `night`:
    when a page is one of the night. `language`: in which words are searched for.
    """
    requests = Requests(SCHEMA)

    async def pages_arrive(body: Any, caller: Caller) -> None:
        await seen.arrives(body, caller)

    _incidents(requests, references, pages_arrive, language)
    _stories(requests, pages_arrive)
    add_acts(requests, references, pages_arrive, reopen_within, quiet_for)
    _integrations(requests, references)
    add_audit(requests, Trail(audit))
    add_team_uses(requests)
    add_analytics(requests, references, night or Night())
    add_reviews(requests, references, pages_arrive)
    add_bulk(requests)
    add_incident_audit(requests, pages_arrive)
    return requests


def _incidents(requests: Requests, references: References, pages_arrive: Before, language: Language) -> None:
    async def names_exist(body: CreateIncident, caller: Caller) -> None:
        caller.require(Action.INCIDENTS_CREATE, body.team_id)
        # In doubt the incident is opened: Default, and the policy's own people, are paged in the place of what is not.
        if (unknown := await references.unknown(body, caller)) is not None:
            raise unknown.refused()

    async def filter_exists(body: SearchIncidents, caller: Caller) -> None:
        if (unknown := await references.unknown(body, caller)) is not None:
            raise NotFound(unknown.reason, field=unknown.field)

    def thread_wanted(body: CreateIncident, _caller: Caller) -> UUID | None:
        return application.thread_wanted(body)

    @requests.handle("create", CreateIncident, action=Action.INCIDENTS_CREATE, before=names_exist, turn=thread_wanted)
    def create(work: Work, body: CreateIncident, caller: Caller) -> IncidentView:
        caller.require(Action.INCIDENTS_CREATE, body.team_id)
        clean = CreateIncident.model_validate(storable(body.model_dump(mode="json")))
        made = application.create_incident(work, clean, caller.cause(work), StoredInputs(work))
        return decided(work, made)

    @requests.handle("edit", EditIncident, action=Action.INCIDENTS_WRITE, arrives=pages_arrive, versioned=INCIDENT)
    def edit(work: Work, body: EditIncident, caller: Caller) -> IncidentView:
        sights.check(work, body.id, caller, "edit", Action.INCIDENTS_WRITE)
        clean = EditIncident.model_validate(storable(body.model_dump(mode="json", exclude_unset=True)))
        application.edit(work, clean, caller.cause(work), StoredInputs(work))
        return decided(work, body.id)

    @requests.query("get", ById, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def get(work: Work, body: ById, caller: Caller) -> IncidentView:
        view = incident_view(work, body.id)
        if view is None:
            raise decisions.NoSuchIncident
        if not sights.sees(work, view.id, view.team_id, caller):
            raise decisions.NoSuchIncident().hides()
        return view

    @requests.query("states", StatesQuery, public=True)
    def states_(work: Work, body: StatesQuery, _caller: None) -> States:
        """For the gateway's stream, which shows each to whoever may see it; guarded by the bus (promise 13)."""
        return states(work, body)

    @requests.query("list", SearchIncidents, action=Action.INCIDENTS_LIST, before=filter_exists)
    def list_(work: Work, body: SearchIncidents, caller: Caller) -> IncidentList:
        mine = {"assigned_to": caller.user_id} if body.assigned_to == "me" else {}
        found = list_incidents(work, body.model_copy(update=mine), caller, language)
        if body.integration_id is not None and not found.total:
            # One that was deleted is still known by what came through it.
            integrations.find_to_list_by(work, body.integration_id, caller)
        return found


def _stories(requests: Requests, pages_arrive: Before) -> None:
    @requests.query("timeline", TimelineQuery, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def timeline(work: Work, body: TimelineQuery, caller: Caller) -> Timeline:
        sights.find(work, body.id, caller)
        page = timeline_page(work, body)
        gone = tuple(sorted(page.story.erased))
        return Timeline(entries=entries(page.story.rows), next_cursor=page.following, erased=gone)

    @requests.query("alerts", ListAlerts, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def alerts(work: Work, body: ListAlerts, caller: Caller) -> AlertList:
        sights.find(work, body.id, caller)
        return list_alerts(work, body)

    @requests.query("explain", ExplainQuery, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def explain_(work: Work, body: ExplainQuery, caller: Caller) -> Explanation:
        sights.find(work, body.id, caller)
        story = timeline_of(work, body.id)
        # Also of somebody who has no part in it: they were there once.
        asked = erased(work, [] if body.user_id is None else [body.user_id])
        return explain(story.rows, body.user_id, story.erased | asked)

    @requests.query("explanation", FindExplanation, public=True)
    def explanation(work: Work, body: FindExplanation, _caller: None) -> IncidentExplained:
        """For operators (`pager explain`), guarded by the bus (promise 13)."""
        view = find_incident(work, body.key)
        story = timeline_of(work, view.id)
        people = explain(story.rows, body.user_id, story.erased).people
        return IncidentExplained(incident_id=view.id, number=view.number, title=view.title, people=people)

    @requests.query("find_alerts", FindAlerts, public=True)
    def find_alerts(work: Work, body: FindAlerts, _caller: None) -> AlertList:
        """For operators (`pager alert list`), guarded by the bus (promise 13)."""
        found = find_incident(work, body.key)
        return list_alerts(work, ListAlerts(id=found.id, state=body.state, limit=body.limit, cursor=body.cursor))

    @requests.query("outcomes", FindOutcome, public=True)
    def outcomes(work: Work, body: FindOutcome, _caller: None) -> Outcomes:
        """For operators (`pager alert outcome`), guarded by the bus (promise 13)."""
        return find_outcomes(work, body.sequence)

    @requests.query("balance", BalanceQuery, public=True)
    def balance_(work: Work, body: BalanceQuery, _caller: None) -> Balance:
        """For operators (`pager alert balance`), guarded by the bus (promise 13)."""
        return balance(work, body.hours)

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
        return exported(work, query, caller)


def _integrations(requests: Requests, references: References) -> None:
    async def names_exist(body: CreateIntegration | ChangeIntegration, caller: Caller) -> None:
        if isinstance(body, CreateIntegration) or body.team_id is not None:
            caller.require(Action.INTEGRATIONS_WRITE, body.team_id)
        if (unknown := await references.surely_unknown(body, caller)) is not None:
            raise unknown.refused()

    @requests.handle("create_integration", CreateIntegration, action=Action.INTEGRATIONS_WRITE, before=names_exist)
    def create_integration(work: Work, body: CreateIntegration, caller: Caller) -> IntegrationView:
        caller.require(Action.INTEGRATIONS_WRITE, body.team_id)
        key = integrations.new_key()
        command = IntegrationWanted(work.new_id(), body.name, body.type, body.policy_id, body.team_id)
        integrations.create_integration(work, command, key, caller.cause(work))
        made = integrations.decided_integration(work, command.integration_id)
        return made.model_copy(update={"key": key})

    @requests.handle(
        "change_integration",
        ChangeIntegration,
        action=Action.INTEGRATIONS_WRITE,
        before=names_exist,
        versioned=INTEGRATION,
    )
    def change_integration(work: Work, body: ChangeIntegration, caller: Caller) -> IntegrationView:
        integrations.check(work, body.id, caller)
        if "team_id" in body.model_fields_set:
            caller.require(Action.INTEGRATIONS_WRITE, body.team_id)
        integrations.change_integration(work, body, caller.cause(work))
        return integrations.decided_integration(work, body.id)

    @requests.handle("delete_integration", ById, action=Action.INTEGRATIONS_WRITE, versioned=INTEGRATION)
    def delete_integration(work: Work, body: ById, caller: Caller) -> Nothing:
        integrations.check(work, body.id, caller)
        integrations.delete_integration(work, body.id, caller.cause(work))
        return Nothing()

    @requests.handle("add_integration_key", ById, action=Action.INTEGRATIONS_WRITE, versioned=INTEGRATION)
    def add_integration_key(work: Work, body: ById, caller: Caller) -> CreatedKeyView:
        integrations.check(work, body.id, caller)
        return integrations.add_key(work, body.id, integrations.new_key(), caller.cause(work))

    @requests.handle("revoke_integration_key", RevokeKey, action=Action.INTEGRATIONS_WRITE, versioned=INTEGRATION)
    def revoke_integration_key(work: Work, body: RevokeKey, caller: Caller) -> Nothing:
        integrations.check(work, body.id, caller)
        integrations.revoke_key(work, body.id, body.key_id, caller.cause(work))
        return Nothing()

    @requests.query("integration", ById, action=Action.INTEGRATIONS_READ)
    def integration(work: Work, body: ById, caller: Caller) -> IntegrationView:
        found = integrations.find_integration(work, body.id)
        if not caller.may(Action.INTEGRATIONS_READ, found.team_id):
            raise NoSuchIntegration().hides()
        return found

    @requests.query("integrations", ListPage, action=Action.INTEGRATIONS_READ)
    def integrations_(work: Work, body: ListPage, caller: Caller) -> IntegrationList:
        return integrations.list_integrations(work, body, caller.sight(Action.INTEGRATIONS_READ))
