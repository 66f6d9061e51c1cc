"""Stand-ins for APNs and FCM that speak the real protocols, record every push and answer as they are told."""

from cli.simulators.config import SimulatorEnvironment, SimulatorSettings
from cli.simulators.server import Simulators

__all__ = ["SimulatorEnvironment", "SimulatorSettings", "Simulators"]
