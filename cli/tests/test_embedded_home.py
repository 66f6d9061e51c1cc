"""What `PAGER_HOME` promises: private passwords, one user at a time, readers that never see half a file."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from cli.embedded import Home, StartError, account
from cli.embedded.account import account_for
from cli.embedded.credentials import NATS_USERS, POSTGRES_ROLES
from cli.embedded.places import server_folder


def test_passwords_are_made_once_and_kept(tmp_path: Path) -> None:
    first = Home(tmp_path / "home").credentials()
    assert Home(tmp_path / "home").credentials() == first
    assert set(first.nats) == set(NATS_USERS)
    assert set(first.postgres) == set(POSTGRES_ROLES)
    assert len({*first.nats.values(), *first.postgres.values()}) == len(NATS_USERS) + len(POSTGRES_ROLES)


def test_passwords_are_readable_by_the_owner_only_and_never_shown(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    credentials = home.credentials()
    assert stat.S_IMODE(home.credentials_file.stat().st_mode) == 0o600
    assert not any(password in repr(credentials) for password in credentials.nats.values())


def test_a_user_that_an_upgrade_brings_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    home.credentials_file.write_text('{"nats": {"auth": "kept"}, "postgres": {}}')
    credentials = home.credentials()
    assert credentials.nats["auth"] == "kept"
    assert Home(home.path).credentials() == credentials


def test_a_damaged_password_file_is_one_clear_line_without_its_content(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    home.credentials_file.write_text('{"nats": {"auth": "hunter2"')
    with pytest.raises(StartError, match=r"^PAGER_HOME: .*credentials\.json.*backup$") as caught:
        home.credentials()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_home_in_use_is_refused_naming_folder_and_process(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.hold(), home.hold():
        with pytest.raises(StartError) as caught, Home(home.path).hold():
            pass
        assert str(home.path) in str(caught.value)
        assert f"process {os.getpid()}" in str(caught.value)
        assert "\n" not in str(caught.value)
    with Home(home.path).hold():
        pass


def test_a_home_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"^PAGER_HOME: cannot make "):
        Home(tmp_path / "file" / "home").prepare()


def test_the_run_file_is_replaced_whole_and_cleared(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    assert home.read_run() is None
    home.write_run({"nats": "nats://127.0.0.1:4222"})
    home.write_run({"nats": "nats://127.0.0.1:4223"})
    assert home.read_run() == {"nats": "nats://127.0.0.1:4223"}
    assert sorted(path.name for path in home.path.iterdir()) == ["logs", "pager-home.json", "run.json"]
    home.clear_run()
    assert home.read_run() is None


def test_the_home_is_named_by_the_environment() -> None:
    assert Home.from_environment({"PAGER_HOME": "/srv/pager"}).path == Path("/srv/pager")
    assert Home.from_environment({}).path == Path.cwd() / ".pager"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")
def test_data_that_the_account_could_not_reach_live_elsewhere_behind_a_link(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Home(closed / "home")
    home.prepare()
    chosen = account_for(home.postgres, home.nats)
    folder = server_folder(home, "postgres", chosen)
    assert home.postgres.is_symlink()
    assert chosen.can_use(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    (folder / "kept").write_text("data")
    moved = Home(home.path.rename(closed / "moved"))
    assert server_folder(moved, "postgres", chosen) == folder
    moved.erase()
    assert not folder.parent.exists()
    assert not moved.path.exists()


def test_root_says_that_it_makes_a_user(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[str] = []
    pager = account.Account(990, 990, "pager", switched=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: made.append(command[0]))
    monkeypatch.setattr(account, "_named", lambda name: pager if made and name == "pager" else None)
    assert account.account_for() == pager
    assert "`useradd` makes the system user `pager`" in capsys.readouterr().err
    assert account.account_for() == pager
    assert capsys.readouterr().err == "", "it is there already"


def test_what_pager_has_made_is_erased_and_nothing_else(tmp_path: Path) -> None:
    ours, shared = Home(tmp_path / "ours"), Home(tmp_path / "shared")
    shared.path.mkdir(mode=0o755)
    shared.path.chmod(0o755)
    (shared.path / "thesis.txt").write_text("mine")
    (shared.path / "data").mkdir()
    (shared.path / ".secrets.json.bak").write_text("a copy of the keys")
    for home in (ours, shared):
        home.credentials()
        (home.path / ".credentials.json.x1_abcde").write_text("half")
        (home.postgres / "data").mkdir(parents=True)
        home.write_run({})
        for name in ("auth.log", "incidents-2.log.1", "gateway.log", "postgres.log"):
            (home.logs / name).write_text("ours")
    assert stat.S_IMODE(shared.path.stat().st_mode) == 0o755
    assert (ours.erase(), ours.path.exists()) == ([], False)
    (shared.logs / "app.log").write_text("mine")
    assert shared.erase() == [".secrets.json.bak", "data", "logs", "thesis.txt"]
    assert sorted(path.name for path in shared.path.iterdir()) == [".secrets.json.bak", "data", "logs", "thesis.txt"]
    assert [path.name for path in shared.logs.iterdir()] == ["app.log"]
    assert shared.erase() == [], "it is not Pager's any more"
    assert (shared.path / "thesis.txt").read_text() == "mine"


def test_things_of_somebody_else_with_our_names_keep_pager_out(tmp_path: Path) -> None:
    home = Home(tmp_path / "project")
    (home.path / "logs").mkdir(parents=True)
    (home.path / "logs" / "theirs.log").write_text("mine")
    with pytest.raises(StartError, match="project holds logs, which Pager has not made"):
        home.prepare()
    assert home.erase() == []
    assert (home.path / "logs" / "theirs.log").read_text() == "mine"


def test_data_behind_a_link_are_erased_and_the_place_around_them_stays(tmp_path: Path) -> None:
    home, disk = Home(tmp_path / "home"), tmp_path / "disk"
    (disk / "pg").mkdir(parents=True)
    home.prepare()
    home.postgres.symlink_to(disk / "pg")
    home.erase()
    assert (home.path.exists(), list(disk.iterdir())) == (False, [])
