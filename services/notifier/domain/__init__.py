"""The notifier's decisions: one notification, one person who cannot be reached, one push token."""
