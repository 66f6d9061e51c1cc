"""Tests of the command line, the embedded servers and the push simulators."""
