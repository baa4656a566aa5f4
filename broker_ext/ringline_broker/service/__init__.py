"""The service: takes requests, lets the engine decide, commits, publishes. It owns the Store and Binding protocols.

- `ports`: what it needs from the outside; `service`: the turn
- `waiting`, `quotas`, `buckets`: whose request is next, and what is too much
- `newcomers`, `blocklist`, `groups`, `membership`: what decides about a request beside the engine
- `outbox`, `replies`: what is published, what devices are answered; `queries`, `sync`, `group_queries`: what they ask
- `marking`, `recovery`, `timers`: what the broker has, what somebody left, what is due
- `watch`, `timing`, `standing`, `sparing`: whether the store answers, how long it takes, how things stand, logs
"""
