"""Kill it while alerts flow, and count from outside."""
