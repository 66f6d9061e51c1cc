"""The code of auth before each of its migrations pages on the schema after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rollout import WORLD_OF_ITS_OWN, later_migrations, old_code_pages
from tests.servers import Servers


@WORLD_OF_ITS_OWN
@pytest.mark.parametrize("migration", later_migrations("auth"))
async def test_auth_as_it_was_before_a_migration_pages_on_the_schema_after_it(
    servers: Servers, migration: str, tmp_path: Path
) -> None:
    await old_code_pages(servers, "auth", migration, tmp_path)
