"""The `pager` command: its commands put together, and one line and an exit code for whatever goes wrong."""

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from cli.commands.alert import alerts
from cli.commands.demo import demo
from cli.commands.deploy_config import deploy_config
from cli.commands.doctor import doctor
from cli.commands.explain import explain
from cli.commands.migrate import migrations
from cli.commands.parked import parked
from cli.commands.prepare import prepare
from cli.commands.rebuild import rebuild
from cli.commands.replay import replay
from cli.commands.reset import reset
from cli.commands.seed import seed
from cli.commands.tail import tail
from cli.commands.up import up
from cli.console.failure import STOPPED, TROUBLE, USAGE, Failure
from cli.embedded.errors import StartError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def pager() -> None:
    """Pages the right person about an incident until somebody acknowledges."""


for command in (up, demo, seed, reset, doctor, tail, replay, explain, rebuild):
    app.command()(command)
for group in (alerts, parked, migrations, prepare, deploy_config):
    app.add_typer(group)


def main() -> None:
    """Entry point: every failure is one line on stderr, and exit code 1 or 2."""
    sys.exit(exit_code_of(lambda: app(standalone_mode=False)))


def exit_code_of(command: Callable[[], Any]) -> int:
    """Run a command and say what went wrong."""
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except typer.Abort:
        return _say("stopped", STOPPED)
    except typer.TyperException as error:
        tell = getattr(error, "format_message", error.__str__)
        return _say(str(tell()), USAGE)
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


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"pager: {' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    main()
