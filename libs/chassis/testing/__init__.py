"""What tests of the services stand on: given/when/then, a movable clock, and a world of all services."""
