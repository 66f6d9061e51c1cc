"""The measured claims, one command each; each compares with a bare reference in the same run."""
