"""The `pager` command: its commands put together, and one line and an exit code for whatever goes wrong."""

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.commands.admin import admin
from cli.commands.alert import alerts
from cli.commands.demo import demo
from cli.commands.deploy_config import deploy_config
from cli.commands.doctor import doctor
from cli.commands.epoch import epochs
from cli.commands.explain import explain
from cli.commands.keys import keys
from cli.commands.migrate import migrations
from cli.commands.parked import parked
from cli.commands.prepare import prepare
from cli.commands.rebuild import rebuild
from cli.commands.replay import replay
from cli.commands.report import report
from cli.commands.reset import reset
from cli.commands.review import reviews
from cli.commands.seed import seed
from cli.commands.tail import tail
from cli.commands.up import up
from cli.console.failure import STOPPED, TROUBLE, USAGE, BadSettings, Failure
from cli.console.output import for_any_terminal
from cli.embedded.errors import StartError
from libs.chassis.printable import printable
from libs.chassis.surroundings import forget_libpq

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from libs.chassis.measure.metrics import version

        sys.stdout.write(f"pager {version()}\n")
        raise typer.Exit


@app.callback()
def pager(
    show_version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Pages the right person about an incident until somebody acknowledges."""


for command in (up, demo, seed, reset, doctor, tail, replay, explain, report, rebuild):
    app.command()(command)
for group in (admin, alerts, reviews, parked, epochs, keys, migrations, prepare, deploy_config):
    app.add_typer(group)


def main() -> None:
    """Entry point: every failure is one line on stderr, and exit code 1 or 2."""
    forget_libpq()
    for_any_terminal()
    sys.exit(exit_code_of(lambda: app(standalone_mode=False)))


def exit_code_of(command: Callable[[], Any]) -> int:
    """Run a command and say what went wrong."""
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        return _say("stopped", STOPPED)
    except typer.TyperException as error:
        tell = getattr(error, "format_message", error.__str__)
        return _say(str(tell()), USAGE)
    except BadSettings as bad:
        return _say(str(bad), bad.exit_code, *bad.faults)
    except Failure as failure:
        return _say(str(failure), failure.exit_code)
    except StartError as error:
        return _say(str(error), TROUBLE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be written at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except Exception as error:
        if os.environ.get("PAGER_DEBUG"):
            raise
        return _say(f"unexpected {type(error).__name__}: {error} (PAGER_DEBUG=1 shows where)", TROUBLE)


def _say(message: str, code: int, *faults: str) -> int:
    """A line for people (one for each fault), or for programs where the command was asked to answer as JSON."""
    line = printable(" ".join(message.split()))
    if "--json" in sys.argv:
        several = {"faults": list(faults)} if faults else {}
        lines = [json.dumps({"error": {"message": line, "exitCode": code} | several})]
    else:
        lines = [f"pager: {printable(fault)}" for fault in faults or (line,)]
    sys.stderr.writelines(f"{told}\n" for told in lines)
    return code


if __name__ == "__main__":
    main()
