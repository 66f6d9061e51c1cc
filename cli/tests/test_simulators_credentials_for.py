"""The notifier beside simulators in containers starts with their credentials."""

import json
import subprocess
import sys
from pathlib import Path

from cli.simulators.config import SimulatorEnvironment

PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


def started(home: Path, *program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.simulators.credentials_for", f"--home={home}", "--", *program]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_program_runs_with_the_simulators_variables(tmp_path: Path) -> None:
    told = SimulatorEnvironment(
        *("http://s", "f.json", "http://f", "http://t", "k.p8", "K", "T", "topic", "https://a", "ca"),
        *("v.pem", "mailto:a@b.c", "http://s"),
    )
    told.write(tmp_path)
    done = started(tmp_path, sys.executable, "-c", PRINT)
    assert told.variables().items() <= json.loads(done.stdout).items()


def test_the_programs_exit_code_is_that_of_the_process(tmp_path: Path) -> None:
    SimulatorEnvironment(*("x",) * 13).write(tmp_path)
    assert started(tmp_path, sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_without_simulators_there_is_one_line_that_says_so(tmp_path: Path) -> None:
    done = started(tmp_path, sys.executable, "-c", PRINT)
    assert done.returncode == 1
    assert "simulator.json does not exist: have the simulators started?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
