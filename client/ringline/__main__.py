"""The `ringline` command: it stands in the broker part, and says what to install where that is missing."""

import sys
from importlib import import_module


def main() -> None:
    """Run the command line."""
    try:
        cli = import_module("ringline_broker.cli")
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"the ringline command needs the package {missing.name}, which is not installed.\n"
            "Install it with: pip install 'ringline[broker]'\n"
        )
        raise SystemExit(3) from None
    cli.main()


if __name__ == "__main__":
    main()
