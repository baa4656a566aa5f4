"""An authority made for a test, a server's certificate from it, and the contexts of clients that trust it or do not."""

import ssl
from pathlib import Path

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
