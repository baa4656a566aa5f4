"""The worker's binding: an MQTT 5 client beside Mosquitto, EMQX or any other broker that has shared subscriptions.

- `packets`: cuts a stream into packets; the codec is `mqtt5`
- `failures`: what a broker may refuse, and what to do about it
- `address`: where the broker is; what a connection takes and gives
- `counters`: what is counted
- `outbound`: messages on their way, without I/O; outlives connections
- `pulse`: whether the broker is there, and acknowledges what it is sent
- `connection`: one connection
- `keeper`: keeps one up, and subscribed
- `selftest`: whether a broker does what a worker needs
- `binding`: what the service sees of all this
"""
