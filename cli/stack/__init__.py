"""What `pager up` runs: the processes, what each is given, in which order they start, and what ends them."""
