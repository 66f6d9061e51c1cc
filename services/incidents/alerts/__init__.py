"""From the stream ALERTS to decisions: alerts are read and grouped, answers wait, and what was taken is known.

`intake` reads a lane and `reading` a message; `signals` decides, by `threads`; `answers` wait for both lanes. `stream`
is what both readers see, `taken` what they took; `purge` makes room. Below lie `dedup` keys and `places` in ALERTS.
"""
