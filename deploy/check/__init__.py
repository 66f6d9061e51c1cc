"""`python -m deploy.check`: whether what is deployed would be accepted, and does what the services need."""
