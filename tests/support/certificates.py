"""An authority made for a test, a server's certificate from it, and the contexts of clients that trust it or do not."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import trustme


class Certificates:
    """For `localhost` and 127.0.0.1.

    Args:
        folder: where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.certfile, self.keyfile = folder / "server.pem", folder / "server.key"
        issued = self._authority.issue_cert("localhost", "127.0.0.1")
        for n, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(str(self.certfile), append=n > 0)
        issued.private_key_pem.write_to_path(str(self.keyfile))

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts the authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def distrusting(self) -> ssl.SSLContext:
        """A client's context that trusts another authority only."""
        context = ssl.create_default_context()
        trustme.CA().configure_trust(context)
        context.sslsocket_class = _ClosedOnFailure
        return context


class _ClosedOnFailure(ssl.SSLSocket):
    """paho leaves a socket whose handshake failed to the garbage collector, which warns."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ssl.SSLError:
            self.close()
            raise


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> dict[str, Any] | None:
    """A TLS handshake without a network.

    Args:
        server: one end.
        client: the other.
        host: what the client looks for.

    Returns:
        The client's certificate as the server sees it.

    Raises:
        ssl.SSLError: one end does not trust the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert ends[1].version() == "TLSv1.3"
    return cast("dict[str, Any] | None", ends[1].getpeercert())
