"""The compose file, its secrets and its commands carry a page from the alert to the phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.deploy_config import for_compose
from cli.embedded import EmbeddedPostgres, Home
from deploy.check import compose
from deploy.compose.smoke import Smoke
from deploy.tests.containers import Containers, run_script


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_page_goes_through_what_compose_starts(tmp_path: Path, tls: bool) -> None:
    for_compose(tmp_path, vendors=False, public_url="http://localhost:3000", as_json=False)
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as postgres:
            # Its roles have other passwords until the script of this installation has been run, twice as on each start.
            for _ in range(2):
                run_script(postgres.url("superuser"), tmp_path / "secrets" / "roles.sql")
            containers = Containers(tmp_path, postgres.port, tls)
            with containers.running():
                smoke = Smoke(
                    gateway=containers.gateway,
                    email=(tmp_path / "secrets" / "admin-email").read_text().strip(),
                    password=(tmp_path / "secrets" / "admin-password").read_text().strip(),
                    pager=lambda arguments: containers.job("sender", *arguments),
                    pushes=containers.pushes,
                )
                assert smoke.run().startswith("paged through apns")


def test_the_countries_of_addresses_are_mounted_where_a_variable_names_their_file() -> None:
    *_, mount = compose.services()["auth"]["volumes"]
    for given, source, told in (("", "/dev/null", ""), ("/srv/c.mmdb", "/srv/c.mmdb", "/countries.mmdb")):
        variables = {"PAGER_GEOIP_FILE": given}
        assert compose.interpolated(mount, variables) == f"{source}:/countries.mmdb:ro"
        assert compose.environment_of("auth", variables)["PAGER_GEOIP_FILE"] == told
