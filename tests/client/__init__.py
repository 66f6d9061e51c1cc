"""Tests of `pager-client`: it has every operation, goes on as it must, and knows nothing of ours."""
