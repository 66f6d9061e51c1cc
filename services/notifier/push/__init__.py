"""The notifier's push clients: APNs, FCM and Web Push behind one `send(token, page)`, and circuit breakers."""
