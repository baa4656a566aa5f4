"""Workers to be killed: python -m tests.faults.worker_nursery.

Importing takes longer than starting, so one process imports everything, and forks one that runs `ringline worker` for
each line that it reads: a JSON array of the file for its log and the words of its command line. Each says what it says
with `--json`: `{"event":"working","pid":…}`. The end of the standard input ends those that are left.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from ringline.__main__ import main as ringline

_NEEDED = ("cli.worker", "worker", "stores.redis.store")


def main() -> None:
    """Fork until there is nothing more to read."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for module in _NEEDED:
        import_module(f"ringline_broker.{module}")
    workers: list[int] = []
    for line in sys.stdin:
        log, *words = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(log, words)
        workers.append(os.pidfd_open(pid))
    for worker in workers:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(worker, signal.SIGTERM)


def _work(log: str, words: Sequence[str]) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        sys.argv = ["ringline", "worker", "--json", *words]
        ringline()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
