"""The broker's certificate: who signed it, how long it is good for, and whether the worker trusts it."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ringline_broker.bindings.mqtt5.failures import to_trust
from ringline_broker.doctor.device import ANSWER_S
from ringline_broker.doctor.report import Found, fail, ok, warn
from ringline_broker.doctor.target import Target

_SOON_DAYS: Final = 14


async def look(target: Target, tls: ssl.SSLContext) -> Found:
    """Look at it, first without trust, so that what is wrong has a name."""
    try:
        shown = await _shake_hands(target, _trusting_all())
    except (ssl.SSLError, OSError) as failed:
        text = "use the port of the listener with TLS, or mqtt:// where there is none; see --cert if it asks for one"
        return fail(f"no TLS at {target}: {_why(failed)}", text)
    signed = x509.load_der_x509_certificate(shown)
    days = (signed.not_valid_after_utc - datetime.now(UTC)).days
    what = f"signed by {_signer(signed)}, {_validity(signed)}"
    try:
        await _shake_hands(target, tls)
    except ssl.SSLCertVerificationError as untrusted:
        return fail(f"{what}, not trusted: {untrusted.verify_message.rstrip('.')}", to_trust(untrusted))
    except (ssl.SSLError, OSError) as failed:
        return fail(f"{what}; the handshake fails: {_why(failed)}", "see --cert and --key, and the broker's log")
    if days < _SOON_DAYS:
        return warn(f"{what}, for {target.host}", "renew it now (`ringline cert server`), and restart the broker")
    return ok(f"{what}, for {target.host}")


async def speaks_tls(target: Target) -> bool:
    """Whether somebody shakes hands there, trusted or not."""
    try:
        await _shake_hands(target, _trusting_all())
    except OSError:
        return False
    return True


async def _shake_hands(target: Target, tls: ssl.SSLContext) -> bytes:
    """The broker's certificate."""
    async with asyncio.timeout(ANSWER_S):
        _, writer = await asyncio.open_connection(
            target.host, target.port, ssl=tls, server_hostname=target.host
        )
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    finally:
        await hang_up(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """End a connection, with nothing said."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _trusting_all() -> ssl.SSLContext:
    """Only to read the certificate: nothing is sent."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _validity(signed: x509.Certificate) -> str:
    end = signed.not_valid_after_utc
    left = end - datetime.now(UTC)
    return f"expired since {end:%Y-%m-%d}" if left < timedelta() else f"good for {left.days} days"


def _signer(signed: x509.Certificate) -> str:
    names = signed.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return repr(names[0].value if names else signed.issuer.rfc4514_string())


def _why(failed: OSError) -> str:
    reason = failed.reason if isinstance(failed, ssl.SSLError) else failed.strerror
    return reason or str(failed) or "no answer"
