"""How a command answers: tables and colour for people, JSON for programs, one line for a failure."""
