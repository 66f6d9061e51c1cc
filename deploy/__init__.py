"""Pager in containers: the image, the compose file, the Helm chart, and their checks."""
