"""The demo: its people, its story, and how it is shown."""
