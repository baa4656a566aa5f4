"""The broker extension: it owns invitations, decides them once, and tells everyone concerned.

Whole programs, put together of the rest:
- `server`: a broker with the extension in it; `worker`: the extension beside a broker; `own_mosquitto`: both, with a
  Mosquitto as a child process; `cli`: the command
- `deployment`, `doctor`, `monitoring`: a broker's configuration written, a deployment looked at, a process watched

What they are made of:
- `engine`: what becomes of a request; `service`: takes requests in turns and has them decided, kept and told
- `stores`: where invitations are kept; `bindings`: how a broker is reached
- `settings`, `metrics`: what is allowed, what was counted; `certificates`, `authority`: a site's own authority
- `files`: written in one step
- `testing`: what an application's tests may use
"""
