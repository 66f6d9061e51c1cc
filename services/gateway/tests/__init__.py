"""The gateway against stub services on a real bus."""
