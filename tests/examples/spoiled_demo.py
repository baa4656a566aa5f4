"""The demo with phones that fail when an invitation is cancelled. For a test; run as a program."""

import sys

from examples import demo
from examples.call import Phone
from ringline.events import InvitationCancelled


def fail(self: Phone, event: InvitationCancelled) -> None:
    raise AssertionError(f"{self} is spoiled on purpose: {event}")


if __name__ == "__main__":
    Phone.on_invitation_cancelled = fail  # type: ignore[method-assign]
    sys.exit(demo.main())
