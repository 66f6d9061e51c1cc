"""`pager seed`: two people with phones, through the HTTP API."""

from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.reach.running import operator_url, run_of
from cli.settings import Settings


def seed(
    minutes: Annotated[float, typer.Option(help="Until the second level is paged; fractions are welcome.")] = 0.1,
    as_json: Json = False,
) -> None:
    """Make two people with phones and their team: Ana is on call, Bo, its manager, is the second level.

    For example: pager seed --minutes 1
    """
    import asyncio

    from cli.demo.crew import NAME
    from cli.demo.seeding import PEOPLE
    from cli.demo.team import seed_stack
    from cli.stack import secrets_file

    settings = Settings.from_environment()
    if not 0 < minutes <= 10_080:
        raise Failure("--minutes: must be above 0 and at most 10080 (a week)", USAGE)
    run = run_of(settings)
    secrets = secrets_file.load_or_make(settings.home, settings.environment)
    result = asyncio.run(seed_stack(settings, secrets, str(run["gateway"]), operator_url(settings), minutes))
    if as_json:
        print_json(result.document())
        return
    out = console()
    rows = [(p.name, p.email, result.passwords[p.email], p.device_name) for p in PEOPLE]
    out.print(table("Seeded people", ("name", "e-mail", "password", "phone"), rows))
    out.print(f"{PEOPLE[0].name} is on call; after {minutes:g} min {PEOPLE[1].name} is paged.")
    if result.routing_key is not None:
        out.print(f"alerts with the routingKey {result.routing_key} are team {NAME}'s")
    out.print(f"changed: {', '.join(result.seeded.changed) or 'nothing, it was seeded already'}")
