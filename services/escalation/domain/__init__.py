"""The decisions of paging, pure: `policies` (what a team wants), `people` (whom a level reaches), `escalations`."""
