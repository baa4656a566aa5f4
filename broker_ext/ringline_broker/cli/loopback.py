"""Which hosts only programs of this machine can reach."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host is loopback for certain: `localhost`, or an address that is. Other names are not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
