"""Finding a stack that runs, or a deployment elsewhere, and speaking with its API, bus and database."""
