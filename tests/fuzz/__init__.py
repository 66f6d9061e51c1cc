"""The running API against its own description: `make fuzz` (Schemathesis, all checks)."""
