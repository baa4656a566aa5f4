"""`ringline serve --broker mosquitto`: a Mosquitto of one's own, with a worker in this process.

- `process`: the broker, as a child that ends with us and is started again when it dies
- `certificate`: its own copy of what it shows to clients
- `files`: its configuration, written anew at each start
- `server`: broker, worker and store, put together as the embedded server is
"""
