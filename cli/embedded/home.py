"""`PAGER_HOME`: the folder that holds everything an embedded installation keeps, and who may use it now."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cli.embedded import belongings
from cli.embedded.credentials import Credentials
from cli.embedded.errors import HOME_SETTING, StartError
from cli.embedded.files import PRIVATE_FILE, give, write_private


class Home:
    """Layout: `postgres/`, `nats/`, `logs/`, `credentials.json`, `run.json`, `erasures`, `lock`: see `belongings`.

    `postgres` and `nats` may be links: see `places.server_folder`. Nothing is touched on disk before
    `prepare`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        self.postgres = self.path / "postgres"
        self.nats = self.path / "nats"
        self.logs = self.path / "logs"
        self.credentials_file = self.path / "credentials.json"
        self.run_file = self.path / "run.json"
        self.ledger = self.path / belongings.LEDGER
        self.lock_file = self.path / belongings.LOCK
        self._lock = -1
        self._holders = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """`$PAGER_HOME`, by default `.pager` in the working folder."""
        return cls(environment.get(HOME_SETTING) or ".pager")

    @classmethod
    @contextmanager
    def temporary(cls, parent: Path | None = None) -> Iterator[Self]:
        """A home that is erased at the end, in a place that the servers' account reaches too (tests, demo).

        `parent`: a folder that everybody may pass through; by default the one for temporary files.
        """
        folder = Path(tempfile.mkdtemp(prefix="pager-home-", dir=parent))
        if os.geteuid() == 0:
            folder.chmod(0o711)
        home = cls(folder)
        try:
            yield home
        finally:
            home.erase()
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def owner(self) -> tuple[int, int]:
        """uid and gid of the folder: what root writes into somebody's home stays theirs."""
        status = self.path.stat()
        return status.st_uid, status.st_gid

    def prepare(self) -> None:
        """Make the folder and `logs/`; one that was there keeps its mode, and what is in it. Raises `StartError`."""
        try:
            if made := not self.path.is_dir():
                self.path.mkdir(mode=0o700, parents=True)
                if os.geteuid() == 0:  # whose servers run as another account, which must pass through
                    self.path.chmod(0o711)
            belongings.take(self.path, made=made)
            if not self.logs.is_dir():
                self.logs.mkdir(mode=0o700)
                give(self.logs, *self.owner)
        except OSError as error:
            raise StartError(
                HOME_SETTING,
                f"cannot make {error.filename}: {error.strerror}",
                "name a folder that you may write",
            ) from error

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other process out; nests within one `Home`. Raises `StartError` naming folder and holder."""
        if self._holders == 0:
            self.prepare()
            self._lock = self._take_lock()
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if self._holders == 0:
                # The file stays: removing it would let two processes lock two files of the same name.
                os.close(self._lock)

    def _take_lock(self) -> int:
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise StartError(
                HOME_SETTING, f"cannot open {self.lock_file}: {error.strerror}", "use a folder of your own"
            ) from error
        try:
            # flock and not lockf: a POSIX lock is lost when anybody in the process closes the file.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StartError(
                HOME_SETTING,
                f"{self.path} is in use by process {holder}",
                "stop that one or name another folder",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        give(descriptor, *self.owner)
        return descriptor

    def credentials(self) -> Credentials:
        """Read the passwords; the first call makes them. Raises `StartError` if the file cannot be used."""
        text, credentials = self._read_credentials()
        if credentials.to_json() != text:
            with self.hold():
                # Read again: whoever held the home a moment ago may have made them.
                text, credentials = self._read_credentials()
                if credentials.to_json() != text:
                    write_private(self.credentials_file, credentials.to_json(), *self.owner)
        return credentials

    def _read_credentials(self) -> tuple[str, Credentials]:
        try:
            text = self.credentials_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = "{}"
        except OSError as error:
            raise StartError(
                HOME_SETTING,
                f"cannot read {self.credentials_file}: {error.strerror}",
                "run as the home's owner",
            ) from error
        try:
            return text, Credentials.from_json(text)
        except ValueError:
            # `from None`: a decoding error carries the text, and so the passwords.
            raise StartError(
                HOME_SETTING, f"{self.credentials_file} is not what Pager wrote", "restore it from a backup"
            ) from None

    def write_run(self, run: Mapping[str, object]) -> None:
        """Publish what is running (`run.json`) in one step; readers never see half of it."""
        write_private(self.run_file, json.dumps(run, indent=2) + "\n", *self.owner)

    def read_run(self) -> dict[str, object] | None:
        """What `run.json` says, or None where nothing runs."""
        try:
            run: dict[str, object] = json.loads(self.run_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return run

    def clear_run(self) -> None:
        """Remove `run.json` at the end of a run."""
        self.run_file.unlink(missing_ok=True)

    def erase(self) -> list[str]:
        """Delete all of Pager's data, also what was put elsewhere; the names of what is left in the folder.

        Raises `StartError` while it is in use.
        """
        if not self.path.is_dir() or not belongings.is_ours(self.path):
            return []
        with self.hold():
            return belongings.erase(self.path)
