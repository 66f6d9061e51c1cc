"""`python -m cli.simulators`: run the push simulators until SIGINT or SIGTERM."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import uvloop

from cli.simulators.config import SimulatorSettings
from cli.simulators.server import Simulators


def _settings(arguments: list[str] | None = None) -> SimulatorSettings:
    home = Path(os.environ.get("PAGER_HOME", ".pager")) / "simulators"
    port = os.environ.get("PAGER_SIMULATOR_PORT", "3001")
    parser = argparse.ArgumentParser(prog="python -m cli.simulators", description=__doc__)
    parser.add_argument("--home", type=Path, default=home, help="folder for keys and simulator.json")
    parser.add_argument("--port", type=int, default=port, help="HTTP port (PAGER_SIMULATOR_PORT); 0: any free")
    parser.add_argument("--apns-port", type=int, default=0, help="APNs port; 0: as last time, else any free")
    parser.add_argument("--records", type=int, default=500_000, help="how many pushes are kept at most")
    chosen = parser.parse_args(arguments)
    if chosen.records < 1:
        parser.error("--records must be at least 1")
    return SimulatorSettings(home=chosen.home, port=chosen.port, apns_port=chosen.apns_port, capacity=chosen.records)


async def _serve(settings: SimulatorSettings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with Simulators(settings) as simulators:
        where = simulators.environment
        # Records are many and never cyclic: collect rarely, and never walk what the start left.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        sys.stdout.write(f"push simulators ready: {where.url} (FCM, Web Push, control), {where.apns_url} (APNs)\n")
        sys.stdout.flush()
        await stopping.wait()


def main() -> int:
    """Run; a taken port or an unwritable home is one line on stderr and exit code 1."""
    settings = _settings()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except OSError as fault:
        # Records are many and never cyclic: collect rarely, and never walk what the start left.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        sys.stderr.write(f"push simulators cannot start: {fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
