"""Writes what an installation in containers needs beside its images: accounts, roles and secrets."""
