"""What `pager up` runs: the processes, what each is given, their order, what ends them, and whether all is well."""
