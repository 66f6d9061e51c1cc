"""How a service runs: store, relay, consumption, timers, requests, telemetry. Nothing that one service alone needs."""
