"""Tests of the contracts: no server needed."""
