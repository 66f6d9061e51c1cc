"""Everything that crosses a service border; imports nothing else of ours."""
