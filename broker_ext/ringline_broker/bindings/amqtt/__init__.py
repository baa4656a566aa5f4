"""The embedded broker: an aMQTT broker, hardened, with the extension as its plugin.

- `mqtt311`: packets, without I/O
- `link`: bytes over TCP, TLS or WebSocket
- `device`: one connected device
- `receipts`: its PUBACKs, in order
- `broker`: the subclass of aMQTT's Broker, the only module with private names of aMQTT
- `plugin`: the aMQTT plugin: who may log in, who may use which topic
- `users`: the password file
- `binding`: what the service sees of all this
"""
