"""The way to NATS and over it: the connection, reading a stream by pulling, publishing a log by the relay."""
