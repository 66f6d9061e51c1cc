"""The report of a period: as tables and bars on a terminal, and as a page of its own."""
