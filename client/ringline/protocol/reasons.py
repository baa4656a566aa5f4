"""The registry of reasons: short words for why somebody rejected or cancelled, which any device can act on.

A reason outside this table is carried unchanged, so applications may have their own; free text goes beside it.
"""

from typing import Final

REASONS: Final = {
    "declined": "A person said no.",
    "busy": "In another call.",
    "do_not_disturb": "Rings are turned off just now.",
    "unsupported": "This device cannot take such an invitation.",
    "gone": "Whoever the invitation was for is not there any more.",
    "crossing": "Both sides invited each other; the other invitation stands.",
    "changed_mind": "The inviter gave up.",
}
