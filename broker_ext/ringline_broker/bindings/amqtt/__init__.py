"""The embedded broker: an aMQTT broker, hardened, with the extension as its plugin.

- `mqtt311`: packets, without I/O
- `link`, `websocket`: bytes over TCP or TLS, and over WebSocket
- `listening`: opens listeners, and accepts
- `admission`, `turnstile`: who may come in, and whose password is checked next
- `visit`: one connection, from the moment it is accepted
- `device`: one connected device
- `sweeper`: looks after all of them
- `broker`: the subclass of aMQTT's Broker, the only module with private names of aMQTT
- `plugin`: the aMQTT plugin: who may log in, who may use which topic
- `credentials`, `users`: who somebody is, by certificate or by the password file
- `binding`: what the service sees of all this
"""
