"""What auth decides, one decider per noun: people, teams, devices, sessions, keys and so on."""
