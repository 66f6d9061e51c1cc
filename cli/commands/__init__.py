"""The commands of `pager`: call and body of each in one file, which imports what the body needs only when called."""
