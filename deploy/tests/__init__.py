"""Tests of the image, the compose file and the chart, run by `make deploy-check`."""
