"""Configurations of brokers, written for one site.

- `mosquitto`: a Mosquitto with dynamic security
- `mosquitto_texts`: the texts of its files
"""
