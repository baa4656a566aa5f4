"""How a server that listens is reached from this machine: what its URL is, and whom its clients trust."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_ANY_HOST: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where it is reached from here


def url_of(scheme: str, host: str, port: int) -> str:
    """The URL of a port, IPv6 addresses in brackets."""
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}"


def from_here(host: str) -> str:
    """The host under which one that listens on this is reached."""
    return _ANY_HOST.get(host, host)


def certified_host(cert: Path | None, host: str) -> str:
    """The host that a client has to ask for, so that the certificate is for it.

    Raises:
        BadCertificate: it cannot be read.
    """
    from ringline_broker.certificates import hosts_of  # noqa: PLC0415 - slow, and needed here alone

    hosts = [] if cert is None else hosts_of(cert)
    host = from_here(host)
    return host if host in hosts else next((one for one in hosts if not one.startswith("*")), host)


def authority_of(cert: Path) -> Path | None:
    """The authority beside a certificate, as `ringline cert` leaves it, where there is one."""
    authority = cert.parent / "authority.pem"
    return authority if authority.exists() else None


def untimely(cert: Path) -> str | None:
    """What to say of a server's certificate that no client takes today; None where its dates are good.

    Raises:
        BadCertificate: it cannot be read.
    """
    from ringline_broker.certificates import date_fault  # noqa: PLC0415 - as above

    fault = date_fault(cert, datetime.now(UTC))
    if fault is None:
        return None
    return f"{fault}, and clients refuse it: renew it, with `ringline cert server` where the authority is your own"
