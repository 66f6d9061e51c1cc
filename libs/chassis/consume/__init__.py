"""Following upstreams: feeds from any position, appliers with a stored cursor, folds in memory, and who leads."""
