"""What people change is audited: whoever adds a fact says how it is told, or why it is not."""

from __future__ import annotations

from typing import Any

import pytest

import libs.contracts.incident_alerts
import libs.contracts.notifier  # noqa: F401 - importing declares the event types
from libs.contracts.audit import ACTED_FROM, AUDITED, AUDITED_SERVICES, RESOURCES, Rule, resource_of
from libs.contracts.envelope import FACTS, Envelope, Fact
from libs.contracts.model import PersonalField
from libs.contracts.tests.samples import sample

NOT_AUDITED = {
    "what becomes of an incident stands in its timeline": {
        *("incidents.PagingRequested", "incidents.AlertsGrouped", "incidents.IncidentEscalated"),
        *("incidents.AlertAdded", "incidents.AlertResolved", "incidents.AlertsOverflowed"),
        *("incidents.SnoozeEnded", "incidents.SuppressionEnded"),
        *("incidents.AcknowledgementLimited", "incidents.AcknowledgementTimedOut", "incidents.ResolutionPlanned"),
        *("incidents.ReviewDrafted", "incidents.ReviewChanged"),
        *("incidents.ReviewPublished", "incidents.ReviewWithdrawn", "incidents.ReviewDeleted"),
        *("escalation.EscalationStarted", "escalation.EscalationDue", "escalation.ResponderUnreachable"),
        *("escalation.EscalationExhausted", "escalation.EscalationCancelled", "escalation.PagingSuppressed"),
    },
    "it follows from what somebody has changed": {"oncall.ShiftsPlanned"},
    "it holds a push token, and another fact beside it says the rest": {"auth.DeviceRegistered"},
    "it says where somebody was, for the others": {f"{service}.ActedFrom" for service in ACTED_FROM},
}


def test_each_fact_of_these_services_is_audited_or_says_why_not() -> None:
    left_out = set[str]().union(*NOT_AUDITED.values())
    facts = {name.removeprefix("pager.").rpartition(".")[0]: fact for name, fact in FACTS.items()}
    known = {name: fact for name, fact in facts.items() if name.partition(".")[0] in AUDITED_SERVICES}
    assert {name for name, fact in known.items() if fact not in AUDITED} <= left_out
    assert not {name for name, fact in known.items() if fact in AUDITED} & left_out


@pytest.mark.parametrize(("fact", "rule"), AUDITED.items(), ids=lambda value: getattr(value, "type", ""))
def test_a_rule_names_fields_of_its_fact_and_of_those_before_it(fact: type[Fact], rule: Rule) -> None:
    event: Envelope[Any] = sample(fact)
    kind, resource_id = resource_of(event)
    assert RESOURCES[kind] == fact.type.split(".")[1]
    assert resource_id
    assert "/" not in resource_id
    for one in (fact, *rule.before):
        assert {rule.of, *(rule.fields or ())} <= set(one.model_fields), one.type
        assert one.type.split(".")[1] == fact.type.split(".")[1]


def test_no_resource_is_named_by_what_is_somebodys() -> None:
    """The index is in the clear."""
    for fact, rule in AUDITED.items():
        marks = fact.model_fields[rule.of].metadata
        assert not any(isinstance(mark, PersonalField) for mark in marks), fact.type
