"""A device's process: prints how many ms its imports took and waits until its standard input ends.

With an argument, the server's URL, it holds a connected client with a listener; without, nothing but the interpreter.
Run as a file and not with -m, and it imports nothing for itself: what the two hold apart is the client.
"""

import sys
import time


def main() -> None:
    """Be that device."""
    if len(sys.argv) < 2:
        wait("0")
        return
    began = time.perf_counter()
    from ringline import SignalingClient, SignalingListener  # noqa: PLC0415 - its import is what is measured

    took_ms = (time.perf_counter() - began) * 1000
    with SignalingClient(sys.argv[1], user="device", listener=SignalingListener()) as client:
        if not client.wait_connected(30):
            sys.exit("the device cannot connect")
        wait(str(took_ms))


def wait(word: str) -> None:
    """Say that it is up, and stay."""
    print(word, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
