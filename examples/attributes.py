"""Changing what a group's attributes hold, where several want to at once: read, decide, write, and again if need be."""

from collections.abc import Callable, Mapping
from typing import Final

from ringline import SignalingClient, SignalingError
from ringline.data import Value
from ringline.protocol.errors import ATTRIBUTES_CHANGED

_WITHIN_S: Final = 10.0

Decide = Callable[[Mapping[str, Value]], Mapping[str, Value]]
"""From the attributes as they stand, those that are to change; None deletes. Asked again where somebody was quicker."""


def change_attributes(client: SignalingClient, group_id: str, decide: Decide) -> bool:
    """Change a group's attributes, and nobody else's change with it.

    The server takes the change only where the attributes still stand as they were read: nobody waits for a lock, and
    of two who are equally quick one reads again what the other has written.

    Args:
        client: a member's, connected.
        group_id: the group.
        decide: what is to change.

    Returns:
        Whether anything was to change, and is changed.

    Raises:
        SignalingError: it was refused for another reason, or no answer came.
    """
    while True:
        info = client.groups.info(group_id).result(_WITHIN_S)
        changes = decide(info.attributes)
        if not changes:
            return False
        put = {key: value for key, value in changes.items() if value is not None}
        delete = [key for key, value in changes.items() if value is None]
        try:
            client.groups.set_attributes(
                group_id, put, delete=delete, expected=info.attributes_version
            ).result(_WITHIN_S)
        except SignalingError as refused:
            if refused.name != ATTRIBUTES_CHANGED.name:
                raise
        else:
            return True
