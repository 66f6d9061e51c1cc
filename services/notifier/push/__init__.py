"""The notifier's push clients: APNs and FCM behind one `send(token, page)`, and a circuit breaker per provider."""
