"""The `pager` command: running Pager on one machine, and looking into it wherever it runs."""
