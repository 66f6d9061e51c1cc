"""What was once published must be readable for ever: golden files of every event type and version."""

from __future__ import annotations

import json

import pytest

from libs.contracts.codec import CODEC, UnknownEvent, cause_of, id_of
from libs.contracts.envelope import FACTS
from libs.contracts.tests.samples import GOLDEN, golden_file, sample


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_an_event_reads_and_writes_its_golden_file_unchanged(type_name: str) -> None:
    golden = golden_file(type_name).read_bytes()
    event = CODEC.decode(type_name, golden)
    # A field that was added, renamed or lost shows here: make a new version, or mend the file before a release.
    assert json.loads(CODEC.encode(event)) == json.loads(golden)


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_the_golden_file_has_every_field_of_its_type(type_name: str) -> None:
    golden = json.loads(golden_file(type_name).read_bytes())
    assert golden.keys() == json.loads(CODEC.encode(sample(FACTS[type_name]))).keys()
    assert golden["data"].keys() == json.loads(CODEC.encode(sample(FACTS[type_name])))["data"].keys()


@pytest.mark.parametrize("type_name", [path.name.removesuffix(".json") for path in GOLDEN.glob("*.json")])
def test_no_version_that_was_published_is_forgotten(type_name: str) -> None:
    assert type_name in FACTS


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(UnknownEvent, match=r"pager\.incidents\.IncidentCreated\.v99"):
        CODEC.decode("pager.incidents.IncidentCreated.v99", b"{}")


def test_the_head_of_an_unknown_version_can_still_be_read() -> None:
    golden = golden_file("pager.incidents.IncidentCreated.v1").read_bytes()
    raw = golden.replace(b"IncidentCreated.v1", b"IncidentCreated.v99")
    assert CODEC.head(raw).name == "IncidentCreated"


def test_the_id_stands_first_in_the_stored_bytes() -> None:
    event = sample(FACTS["pager.incidents.IncidentCreated.v1"])
    assert id_of(CODEC.encode(event)) == str(event.id)


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_the_cause_is_found_without_decoding(type_name: str) -> None:
    event = sample(FACTS[type_name])
    assert cause_of(CODEC.encode(event)).decode() == str(event.causation_id)
    assert cause_of(CODEC.encode(event.model_copy(update={"causation_id": None}))) == b""


def test_what_a_sender_writes_is_never_taken_for_a_cause() -> None:
    event = sample(FACTS["pager.incidents.IncidentCreated.v1"])
    forged = event.data.model_copy(update={"metadata": {"causationId": "x" * 36}, "title": '"causationId":"y"'})
    uncaused = event.model_copy(update={"causation_id": None, "data": forged})
    assert cause_of(CODEC.encode(uncaused)) == b""
