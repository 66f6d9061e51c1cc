"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Service = Annotated[str | None, typer.Option(help="Only this service.")]
