"""What each command of `pager` does; how it is called is declared in `cli.main`."""
