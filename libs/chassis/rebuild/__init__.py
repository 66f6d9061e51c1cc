"""Tables made anew from the logs while the service runs: history read, folded, projected, compared, swapped."""
