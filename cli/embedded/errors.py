"""The one exception that embedded servers raise for a fault that the person at the keyboard can cure."""

from typing import Final

HOME_SETTING: Final = "PAGER_HOME"
POSTGRES_PORT_SETTING: Final = "PAGER_POSTGRES_PORT"
NATS_PORT_SETTING: Final = "PAGER_NATS_PORT"


class StartError(Exception):
    """A server cannot start; `str(error)` is one line: the setting, what is wrong with it, and the cure."""

    def __init__(self, setting: str, problem: str, cure: str) -> None:
        self.setting = setting
        self.problem = " ".join(problem.split())
        self.cure = cure
        super().__init__(f"{setting}: {self.problem}; {cure}")
