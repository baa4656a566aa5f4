"""Ringline: invitation signaling over MQTT.

    >>> from ringline import SignalingClient, SignalingListener

Nothing of MQTT is loaded until one of the names below is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringline.blocklist import Blocklist
    from ringline.client import SignalingClient
    from ringline.data import Undecodable
    from ringline.errors import SignalingError
    from ringline.group_listener import GroupListener
    from ringline.groups import Groups
    from ringline.handles import RequestHandle
    from ringline.invitations import FIRST, NONE
    from ringline.listener import SignalingListener
    from ringline.protocol.errors import RinglineError

__version__ = "0.1.0"

__all__ = [
    "FIRST",
    "NONE",
    "Blocklist",
    "GroupListener",
    "Groups",
    "RequestHandle",
    "RinglineError",
    "SignalingClient",
    "SignalingError",
    "SignalingListener",
    "Undecodable",
]

_WHERE = {
    "FIRST": "ringline.invitations",
    "NONE": "ringline.invitations",
    "Blocklist": "ringline.blocklist",
    "GroupListener": "ringline.group_listener",
    "Groups": "ringline.groups",
    "RequestHandle": "ringline.handles",
    "RinglineError": "ringline.protocol.errors",
    "SignalingClient": "ringline.client",
    "SignalingError": "ringline.errors",
    "SignalingListener": "ringline.listener",
    "Undecodable": "ringline.data",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _WHERE:
        raise AttributeError(f"module 'ringline' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
