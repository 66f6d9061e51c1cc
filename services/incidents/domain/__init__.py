"""What may happen, pure: `incident` (its life), `decisions` (what follows from each command), `integration`."""
