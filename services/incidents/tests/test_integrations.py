"""What may become of an integration, and of its keys."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID
from libs.contracts.integrations import (
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    IntegrationKeyAdded,
    IntegrationKeyRevoked,
    IntegrationKind,
)
from libs.contracts.uses import InUse, Use, UserKind
from services.incidents.domain.integration import (
    MOST_KEYS,
    AddKey,
    ChangeIntegration,
    CreateIntegration,
    DeleteIntegration,
    Integration,
    Needed,
    NewKey,
    NoSuchIntegration,
    RevokeKey,
    TwoKeysAlready,
)
from services.incidents.integrations import INTEGRATION

ID, POLICY, TEAM = uuid4(), uuid4(), uuid4()
KEY = NewKey(uuid4(), "wxyz")
CREATED = IntegrationCreated(integration_id=ID, name="prom", kind=IntegrationKind.ALERTMANAGER, policy_id=POLICY)
DELETED = IntegrationDeleted(integration_id=ID)


def given(*more: IntegrationDeleted) -> Given[Integration]:
    return Given(INTEGRATION, [CREATED, *more])


def fixed(integration_id: UUID) -> Given[Integration]:
    return Given(INTEGRATION, [CREATED.model_copy(update={"integration_id": integration_id, "policy_id": None})])


def test_an_integration_is_created_once_with_its_first_key() -> None:
    command = CreateIntegration(ID, "prom", IntegrationKind.ALERTMANAGER, POLICY, key=KEY)
    created = Given(INTEGRATION, []).when(command)
    added = IntegrationKeyAdded(integration_id=ID, key_id=KEY.id, hint="wxyz")
    created.then([CREATED, added]).when(command).then_nothing()
    # What the first start makes has no key.
    Given(INTEGRATION, []).when(CreateIntegration(ID, "x", IntegrationKind.GENERIC)).then_types(IntegrationCreated)


def test_a_change_says_what_the_integration_is_now_and_a_repeat_says_nothing() -> None:
    renamed = IntegrationChanged(**CREATED.model_dump() | {"name": "prometheus"})
    after = given().when(ChangeIntegration(name="prometheus")).then([renamed])
    after.when(ChangeIntegration(name="prometheus")).then_nothing()
    without = after.when(ChangeIntegration(policy_id=None)).then([renamed.model_copy(update={"policy_id": None})])
    assert (without.state().name, without.state().policy_id) == ("prometheus", None)
    given().when(ChangeIntegration()).then_nothing()


def test_an_integration_moves_from_one_team_to_another_and_back_to_the_organisation() -> None:
    moved = IntegrationChanged(**CREATED.model_dump() | {"team_id": TEAM})
    after = given().when(ChangeIntegration(team_id=TEAM)).then([moved])
    assert INTEGRATION.team(after.state()) == TEAM
    after.when(ChangeIntegration(name="prom")).then_nothing()
    after.when(ChangeIntegration(team_id=None)).then([moved.model_copy(update={"team_id": None})])


def test_two_keys_may_live_at_once_and_no_third() -> None:
    given().when(AddKey(KEY, live=1)).then([IntegrationKeyAdded(integration_id=ID, key_id=KEY.id, hint="wxyz")])
    given().when(AddKey(KEY, live=MOST_KEYS)).then_rejected(TwoKeysAlready)
    given().when(RevokeKey(KEY.id)).then([IntegrationKeyRevoked(integration_id=ID, key_id=KEY.id)])


def test_what_open_incidents_came_by_is_not_deleted_and_they_are_named() -> None:
    uses = [Use(type=UserKind.INCIDENT, id=uuid4(), name=f"#{number}") for number in (7, 9)]
    refused = given().when(DeleteIntegration(uses, total=14)).then_rejected(InUse)
    assert str(refused) == "it is still used by incident #7, incident #9 and 12 more"
    assert refused.details is not None
    assert [one["name"] for one in refused.details["usedBy"]] == ["#7", "#9"]


def test_what_is_deleted_is_not_there_any_more() -> None:
    after = given().when(DeleteIntegration()).then([DELETED])
    for command in (DeleteIntegration(), ChangeIntegration(name="x"), AddKey(KEY, 0), RevokeKey(KEY.id)):
        after.when(command).then_rejected(NoSuchIntegration)
        Given(INTEGRATION, []).when(command).then_rejected(NoSuchIntegration)


@pytest.mark.parametrize("integration_id", [DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID])
def test_what_pager_itself_needs_may_be_renamed_and_no_more(integration_id: UUID) -> None:
    it = fixed(integration_id)
    it.when(DeleteIntegration()).then_rejected(Needed)
    refused = it.when(ChangeIntegration(policy_id=ADMINS_POLICY_ID)).then_rejected(Needed)
    assert refused.field == "policyId"
    assert it.when(ChangeIntegration(team_id=TEAM)).then_rejected(Needed).field == "teamId"
    it.when(ChangeIntegration(name="Everything else")).then_types(IntegrationChanged)


def test_nobody_gets_a_key_for_the_alarms_of_pager_and_anybody_may_for_default() -> None:
    fixed(OWN_INTEGRATION_ID).when(AddKey(KEY, 0)).then_rejected(Needed)
    fixed(DEFAULT_INTEGRATION_ID).when(AddKey(KEY, 0)).then_types(IntegrationKeyAdded)
