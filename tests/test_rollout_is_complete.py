"""No service is left out where the code before each migration runs on the new schema."""

from __future__ import annotations

import pytest

from libs.contracts.subjects import SERVICES
from tests.old_code import ROOT


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_file(service: str) -> None:
    found = ROOT / "tests" / "integration" / f"test_old_{service}_runs_on_the_new_schema.py"
    assert f'later_migrations("{service}")' in found.read_text(encoding="utf-8")
