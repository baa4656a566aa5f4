"""Permissions on Mosquitto, by its dynamic-security plugin.

- `roles`: who may do what, as the plugin's roles; no I/O
- `control`: commands to the plugin, and its answers
- `permissions`: what a worker looks after: that the roles stand, and who hears which group's topic
- `unmanaged`: a worker that looks after nothing of it sees whether others do
- `users`: who may log in
"""
