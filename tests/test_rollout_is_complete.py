"""Where the code before each migration runs on the new schema no service is left out, and no migration anywhere."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory

from libs.contracts.subjects import SERVICES
from tests.old_code import ROOT


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_file(service: str) -> None:
    found = ROOT / "tests" / "integration" / f"test_old_{service}_runs_on_the_new_schema.py"
    assert f'later_migrations("{service}")' in found.read_text(encoding="utf-8")


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_are_one_chain_in_the_order_of_their_names(service: str) -> None:
    """Two that follow the same one, as two branches write them, would leave one of them out in silence."""
    script = ScriptDirectory(str(ROOT), version_locations=[str(ROOT / "services" / service / "migrations")])
    assert len(script.get_heads()) == 1
    chain = [revision.revision for revision in script.walk_revisions()][::-1]
    assert chain == sorted(chain)
    assert len(chain) == len(list((ROOT / "services" / service / "migrations").glob("[0-9]*.py")))
