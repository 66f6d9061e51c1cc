"""Stand-ins for APNs, FCM and Web Push that speak the real protocols, record every push and answer as they are told."""

from cli.simulators.config import SimulatorEnvironment, SimulatorSettings
from cli.simulators.server import Simulators

__all__ = ["SimulatorEnvironment", "SimulatorSettings", "Simulators"]
