"""The broker's own copy of a certificate and its key.

Mosquitto reads its certificate at every start, and it may have to be started at any time: what is put into its place
meanwhile must not keep it from that.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

from ringline_broker.bindings.amqtt.listening import CannotListen, tls_context
from ringline_broker.files import replace_file

_COPY: Final = "server.pem"
_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)


class Certificate(NamedTuple):
    """A server's certificate with those that vouch for it, and its key; PEM files, or one that has both."""

    certfile: Path
    keyfile: Path


def copy_of(folder: Path) -> Path:
    """Where the copy is; it has certificate and key in it, so that both are replaced in one step."""
    return folder.absolute() / _COPY


def keep(certificate: Certificate, folder: Path) -> None:
    """Make the copy, readable by its owner alone, or leave it as it was.

    Raises:
        CannotListen: the files are no certificate and its key.
        OSError: the copy cannot be written.
    """
    tls_context(*certificate)
    key = _KEY.search(certificate.keyfile.read_bytes())
    if key is None:
        raise CannotListen(f"{certificate.keyfile} has no key in it")
    replace_file(copy_of(folder), key[0] + certificate.certfile.read_bytes())
