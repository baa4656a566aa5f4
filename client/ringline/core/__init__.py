"""The client without I/O: what to send, what a payload means, which callbacks to make. Time is an argument.

- `lanes`: requests that wait for an answer, one at a time for each invitation and each group
- `held`: one invitation as this device knows it, and the order of its events; `held_group`: the same of a group
- `holding`: all invitations this device holds
- `asking`: of which invitations something is missing
- `groups`: which groups there are, their topics, and what of them was missed
- `crossings`: two users who invite each other at once
- `story`, `callbacks`, `group_callbacks`: what of it the application hears, and as which callback
- `syncing`: what this device asks for when it connects
- `results`: what an answer is to whoever asked
- `outputs`: what the shell has to do
- `core`: puts them together; `client.py` is the thin shell around it
"""
