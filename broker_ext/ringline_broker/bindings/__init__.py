"""Bindings: how the extension reaches a broker. What they have in common of MQTT is in `framing` and `receipts`."""
