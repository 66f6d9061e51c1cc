"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Service = Annotated[str | None, typer.Option(help="Only this service.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
