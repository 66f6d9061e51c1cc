"""One file a promise, on real servers."""
