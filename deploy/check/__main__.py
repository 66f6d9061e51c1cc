"""`python -m deploy.check`: runs every check, shows what each found, and ends with 1 if anything is wrong."""

import sys
from typing import Final

from deploy.check import compose, kubernetes, tools
from deploy.check.findings import Check, show

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


def main() -> int:
    return 0 if show([finding for check in CHECKS for finding in check()]) else 1


if __name__ == "__main__":
    sys.exit(main())
