"""What the scenes of the demo have in common."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Final

from examples.stage import OffScript, Stage
from ringline import SignalingClient

_CONNECT_WITHIN_S: Final = 10.0


class Scenes:
    """Scenes on a stage.

    Args:
        url: the server.
        stage: where they are played.
    """

    def __init__(self, url: str, stage: Stage) -> None:
        self.url = url
        self.stage = stage
        self.open = ExitStack()

    @contextmanager
    def scene(self, title: str) -> Generator[None]:
        """Play a scene; its devices disconnect at its end, and then nobody may have shown more than the script says."""
        self.stage.scene(title)
        with ExitStack() as self.open:
            yield
        self.stage.curtain()

    def connect(self, client: SignalingClient) -> None:
        """Connect a device until the end of the scene.

        Raises:
            OffScript: it cannot.
        """
        self.open.enter_context(client)
        if not client.wait_connected(_CONNECT_WITHIN_S):
            raise OffScript(f"{client.user} cannot connect")
