"""How a service runs, in rooms on eight floors, each of which uses only lower ones (docs/architecture.md)."""
