"""How a service is watched from outside: its port for probes and scrapes, and what it looks up when it is asked."""
