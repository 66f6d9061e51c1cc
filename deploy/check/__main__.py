"""`python -m deploy.check`: runs every check, shows what each found, and ends with 1 if anything is wrong."""

import sys
from collections.abc import Iterator
from typing import Final

from yaml import YAMLError

from deploy.check import compose, kubernetes, tools
from deploy.check.chart import Refused
from deploy.check.findings import Check, Finding, show

CHECKS: Final[tuple[Check, ...]] = (
    kubernetes.lint,
    kubernetes.accepted,
    kubernetes.secrets_by_reference,
    compose.structure,
    compose.variables,
    tools.schemas,
    tools.yaml,
    tools.dockerfile,
    tools.workflow_security,
    tools.policies,
)


def attempt(check: Check) -> Iterator[Finding]:
    """What a check finds; that it could not even look is a finding too."""
    try:
        yield from check()
    except (Refused, YAMLError, OSError) as error:
        yield Finding(check.__name__, "could not look", (str(error),))


def main() -> int:
    return 0 if show([finding for check in CHECKS for finding in attempt(check)]) else 1


if __name__ == "__main__":
    sys.exit(main())
