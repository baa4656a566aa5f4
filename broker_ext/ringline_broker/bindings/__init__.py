"""Bindings: how the extension reaches a broker."""
