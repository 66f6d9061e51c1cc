"""The data folder of the embedded PostgreSQL: made, copied from a template, checked, and cleared of leftovers."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from cli.embedded.account import Account
from cli.embedded.child import Steps, server_environment, stop_leftovers
from cli.embedded.credentials import SUPERUSER
from cli.embedded.errors import HOME_SETTING, StartError
from cli.embedded.files import give, give_tree, write_private
from cli.embedded.places import POSTGRES_MAJOR

# Fast shutdown ends sessions and writes a checkpoint; SIGQUIT leaves that to the next start's recovery.
STOP_STEPS: Final[Steps] = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
SUPERUSER_FILE: Final = "superuser-password"
# UTF-8 classes of letters where the system has them; plain C everywhere else. Both sort by code point, so
# that an upgrade of the system's libraries never invalidates an index.
LOCALES: Final = ("C.UTF-8", "C")


def check_data(data: Path) -> bool:
    """Whether there are data to start on; False for an empty place. Raises `StartError` if they are not usable."""
    if not data.exists():
        return False
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise StartError(
            HOME_SETTING,
            f"{data} is no PostgreSQL data folder",
            "restore it, move it away or name another folder",
        ) from None
    if version != str(POSTGRES_MAJOR):
        raise StartError(
            HOME_SETTING,
            f"{data} was made by PostgreSQL {version}, this is {POSTGRES_MAJOR}",
            "use the version of Pager that made it, or move it away and restore a backup",
        )
    return True


async def initialise(programs: Path, data: Path, account: Account, password: str) -> None:
    """Make a data folder with `initdb`; appears under its name only when it is complete. Raises `StartError`."""
    fresh = _fresh(data)
    # A file, since a command line can be read by everybody, and not standard input: `/dev/stdin` cannot be
    # opened by another user than the one who made the pipe.
    secret = data.with_name("initdb-password")
    write_private(secret, password + "\n", account.uid, account.gid)
    output = b""
    try:
        for locale in LOCALES:
            code, output = await _initdb(programs, fresh, secret, locale, account)
            if code == 0:
                fresh.rename(data)
                return
            shutil.rmtree(fresh, ignore_errors=True)
            if b"locale" not in output:
                break
    finally:
        secret.unlink(missing_ok=True)
    words = output.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    raise StartError(HOME_SETTING, f"initdb failed: {words[-1]}", f"look at {data.parent} and its disk")


async def _initdb(programs: Path, folder: Path, secret: Path, locale: str, account: Account) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        programs / "initdb",
        f"--pgdata={folder}",
        f"--username={SUPERUSER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        f"--lc-ctype={locale}",
        "--no-instructions",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
        env=server_environment(),
        preexec_fn=account.before_exec(signal.SIGTERM),
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output


def _fresh(data: Path) -> Path:
    """A neighbour to fill and rename; one that a crash left half filled is removed."""
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    return fresh


def copy_template(template: Path, data: Path, account: Account) -> str:
    """Copy a template, much quicker than `initdb`, and return the superuser's password in it."""
    fresh = _fresh(data)
    # Contents only: modes and times do not matter below a folder of mode 0700, and copying them takes as long
    # again.
    shutil.copytree(template / "data", fresh, symlinks=True, copy_function=shutil.copyfile)
    fresh.chmod(0o700)
    if account.switched:
        give_tree(fresh, account.uid, account.gid)
    fresh.rename(data)
    return (template / SUPERUSER_FILE).read_text(encoding="ascii").strip()


def save_template(data: Path, template: Path, password: str) -> None:
    """Copy a stopped data folder to `template`; if somebody else has made it meanwhile, theirs stays."""
    template.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{template.name}.", dir=template.parent))
    try:
        shutil.copytree(data, fresh / "data", symlinks=True, copy_function=shutil.copyfile)
        write_private(fresh / SUPERUSER_FILE, password + "\n", os.geteuid(), os.getegid())
        give(fresh, os.geteuid(), os.getegid())
        fresh.rename(template)
    except OSError:
        if not (template / SUPERUSER_FILE).is_file():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def postmaster_status(data: Path) -> Sequence[str]:
    """The lines of `postmaster.pid`: pid, folder, start, port, socket folder, address, memory key, status."""
    try:
        return (data / "postmaster.pid").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()


async def end_leftovers(data: Path) -> None:
    """Stop what a crashed supervisor, or a crashed postmaster, left running on these data.

    We hold the home, so nobody watches it any more. It is stopped rather than adopted: its port, settings and
    version may be of another day, and only a child of ours can be waited for. Sessions can outlive a killed
    postmaster for a moment, and two sets of them on one folder would destroy it.
    """
    status = postmaster_status(data)
    if not status:
        return
    processes = _on(data)
    postmaster = [process for process in processes if str(process.pid) == status[0].strip()]
    if postmaster:
        await stop_leftovers(postmaster, STOP_STEPS)
    await stop_leftovers(_on(data), ())
    pid = status[0].strip()
    if pid.isdigit() and psutil.pid_exists(int(pid)):
        # The number was given to some other program meanwhile; PostgreSQL would take that for a running
        # server.
        (data / "postmaster.pid").unlink(missing_ok=True)


def _on(data: Path) -> list[psutil.Process]:
    """Every PostgreSQL process that works in the folder; they all make it their working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()) == data:
                found.append(process)
        except psutil.Error:
            continue
    return found
