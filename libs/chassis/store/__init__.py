"""One service's truth: the event log, what one transaction decides and writes, its tables and their migrations."""
