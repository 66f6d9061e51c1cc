"""The system account under which embedded servers run: PostgreSQL refuses to be root, and NATS need not be."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.embedded.errors import HOME_SETTING, StartError

ACCOUNT_NAME: Final = "pager"
# Where no account can be made: `postgres` if a package brought it, else the account that owns nothing.
FALLBACK_NAMES: Final = ("postgres", "nobody")
# shadow-utils (Debian, Fedora), then BusyBox (Alpine).
ACCOUNT_COMMANDS: Final = (
    ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", ACCOUNT_NAME),
    ("adduser", "-S", "-D", "-H", "-h", "/nonexistent", ACCOUNT_NAME),
)
PROBE_SECONDS: Final = 10.0
PR_SET_PDEATHSIG: Final = 1
# Loaded once and before any fork: a child between fork and exec must not load libraries.
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _set_niceness(value: int) -> None:
    """Of this process, and of its session: where the kernel groups sessions, only theirs counts (sched(7))."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, value)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(value), encoding="ascii")


@dataclass(frozen=True)
class Account:
    """Who a server runs as; `switched` when root has to become somebody else first."""

    uid: int
    gid: int
    name: str
    switched: bool

    def before_exec(self, death_signal: signal.Signals | None = None, niceness: int = 0) -> Callable[[], None]:
        """What a child does between fork and exec.

        The order matters: Linux forgets the parent-death signal whenever the credentials change (prctl(2)).
        It is also bound to the thread that forks, so servers are started from the main thread. Our own
        function because uvloop knows neither `user` nor `group`.
        """
        parent = os.getpid()

        def prepare() -> None:
            if niceness:
                _set_niceness(niceness)
            if self.switched:
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
            os.umask(0o077)
            if _LIBC is not None and death_signal is not None:
                _LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
                if os.getppid() != parent:  # it died before we asked
                    os._exit(1)

        return prepare

    def can_use(self, folder: Path) -> bool:
        """Whether this account can enter and write the folder, tried rather than reckoned from modes and ACLs."""
        if not self.switched:
            return os.access(folder, os.W_OK | os.X_OK)
        child = os.fork()
        if child == 0:
            try:
                self.before_exec()()
                os.chdir(folder)
                os._exit(0 if os.access(".", os.W_OK | os.X_OK) else 1)
            finally:
                os._exit(1)
        return os.waitpid(child, 0)[1] == 0

    def version_of(self, program: Path) -> str | None:
        """What `program --version` prints under this account; None where it cannot be reached or started."""
        try:
            done = subprocess.run(
                [program, "--version"],
                preexec_fn=self.before_exec(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None


def account_for(*folders: Path) -> Account:
    """The account for a home's server folders.

    An ordinary user runs everything as itself. Root takes the owner of data that exist already, so that a
    home made by a user goes on working for both; else the account `pager`, made where it is missing. Raises
    `StartError`.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), str(os.geteuid()), switched=False)
    for folder in folders:
        if folder.is_dir() and (owner := folder.stat().st_uid) != 0:
            try:
                entry = pwd.getpwuid(owner)
            except KeyError:
                raise StartError(
                    HOME_SETTING,
                    f"{folder} belongs to the unknown user {owner}",
                    "chown it to an existing user",
                ) from None
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, switched=True)
    return _find_or_make()


def _find_or_make() -> Account:
    if (account := _named(ACCOUNT_NAME)) is not None:
        return account
    for command in ACCOUNT_COMMANDS:
        if shutil.which(command[0]) is not None:
            sys.stderr.write(
                f"pager: PostgreSQL refuses to run as root: `{command[0]}` makes the system user"
                f" `{ACCOUNT_NAME}`, which the servers run as\n"
            )
            subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if (account := _named(ACCOUNT_NAME)) is not None:
                return account
    for name in FALLBACK_NAMES:
        if (account := _named(name)) is not None:
            return account
    raise StartError(HOME_SETTING, "root has no unprivileged account to run servers as", "make a user `pager`")


def _named(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, name, switched=True) if entry.pw_uid != 0 else None
