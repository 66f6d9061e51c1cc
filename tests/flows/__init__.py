"""Whole flows without a server: what the services decide on one another's events, in any order of delivery."""
