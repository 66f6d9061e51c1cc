"""What an alert on NATS is read without is refused by field where somebody is there to be told: `POST /incidents`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from libs.contracts.incidents import CreateIncident


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("title", '""'),
        ("title", '"  "'),
        ("title", "true"),
        ("dedupKey", '""'),
        ("dedupKey", '" "'),
        ("dedupKey", "7"),
        ("dedupKey", "[]"),
        ("metadata", "[]"),
        ("metadata", "null"),
        ("metadata", '{"load": 1e400}'),
        ("metadata", '{"load": [-1e400]}'),
        ("metadata", '{"load": NaN}'),
        ("priority", "1"),
        ("escalationTimeoutMinutes", "1e400"),
        ("escalationTimeoutMinutes", "NaN"),
    ],
)
def test_an_odd_value_is_refused_and_its_field_named(field: str, written: str) -> None:
    title = "" if field == "title" else '"title": "db down", '
    with pytest.raises(ValidationError) as error:
        CreateIncident.model_validate_json(f'{{{title}"{field}": {written}}}')
    assert error.value.errors()[0]["loc"] == (field,)
