"""Looking back: the logs of all services merged by time and compared with the bus, states as of then, and reasons."""
