"""What auth decides, one decider per noun: people, devices, sessions."""
