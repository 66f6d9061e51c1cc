"""What may happen, pure.

`transitions`: what may be done to an incident in which state, in one table. `commands`: all that can be asked of it.
`decisions`: what follows, with `paging` (when people are paged again) and `edits`. `incident`: its life, event by
event. `integration`: where alerts come from.
"""
