"""aMQTT as it is shipped, in a process of its own: prints its ports for TCP and WebSocket, and serves until killed."""

import threading

from tests.attacks.targets import Stock

if __name__ == "__main__":
    with Stock() as stock:
        print(stock.port, stock.websocket_port, flush=True)  # noqa: T201 - for whoever started it
        threading.Event().wait()
