"""The notifier: decides how each person is told about an incident, sends it and records what the vendors answered."""
