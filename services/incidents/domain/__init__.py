"""What may happen, pure.

`transitions`: what may be done to an incident in which state, in one table. `commands`: all that can be asked of it.
`decisions`: what follows, with `paging` (when people are paged again) and `edits`. `incident`: its life, event by
event, with its `alerts`. `integration`: where alerts come from. `review`: what is written about it when it is over.
"""
