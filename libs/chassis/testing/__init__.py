"""What tests of the services stand on: given/when/then, a movable clock, sessions, deadlines and turns."""
