"""Which ports `ringline serve` opens, and who may reach them: what is not safe has to be asked for by name."""

from typing import Final

from ringline_broker.cli.config import PLAIN, PORTS, ServeOptions
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.options import flag
from ringline_broker.cli.ports import MQTT_PORT, MQTTS_PORT

_WS: Final = "Mosquitto 2.0 would open it on all addresses, whatever the host"
_NOT_BESIDE: Final = {
    "client_ca": "only passwords log in there",
    "client_crl": "only passwords log in there",
    "ws_port": _WS,
    "wss_port": _WS,
}


def ports_to_open(options: ServeOptions) -> dict[str, int]:
    """The port that each option opens; where one is left out, the usual one if that is safe.

    On a loopback host everything may be open. On another, only what asks for logins and encrypts, unless
    `--insecure` says otherwise.

    Raises:
        Failure: the options contradict one another, or would open what is not safe; the message says what to do.
    """
    _check_complete(options)
    _check_broker(options)
    if _is_exposed(options) and not options.insecure:
        _check_safe(options)
    wanted: dict[str, int | None] = {name: getattr(options, name) for name in PORTS}
    if options.port is None and _may_be_plain(options):
        wanted["port"] = MQTT_PORT
    if options.tls_port is None and options.tls_cert is not None:
        wanted["tls_port"] = MQTTS_PORT
    opened = {name: port for name, port in wanted.items() if port is not None}
    for name, port in opened.items():
        if port and [*opened.values(), options.http_port].count(port) > 1:
            raise _wrong(f"{flag(name)} {port} is given to another listener too; each needs a port of its own")
    return opened


def dangers(options: ServeOptions, opened: dict[str, int]) -> list[str]:
    """What `--insecure` means for these ports, a line each; none where nothing is insecure."""
    if not options.insecure:
        return []
    found: list[str] = []
    if _is_exposed(options) and not options.asks_who:
        found.append(
            f"--insecure: whoever reaches {options.host} may log in under any name, without a password, and hear and "
            "answer what is meant for that user"
        )
    plain = [str(opened[name]) for name in PLAIN if name in opened]
    if _is_exposed(options) and plain:
        found.append(
            f"--insecure: port {' and '.join(plain)} of {options.host} is not encrypted: whoever is on the way can "
            "read passwords and invitations, and change them"
        )
    return found or ["--insecure changes nothing here: leave it out"]


def _is_exposed(options: ServeOptions) -> bool:
    return not is_loopback(options.host)


def _only_certificates(options: ServeOptions) -> bool:
    return options.client_ca is not None and options.users is None


def _may_be_plain(options: ServeOptions) -> bool:
    return not _only_certificates(options) and (options.insecure or not _is_exposed(options))


def _check_complete(options: ServeOptions) -> None:
    needs_cert = (options.tls_port, options.wss_port, options.tls_key, options.client_ca)
    if options.tls_cert is None and any(option is not None for option in needs_cert):
        raise _wrong("TLS needs a certificate: give --tls-cert")
    if options.client_crl is not None and options.client_ca is None:
        raise _wrong("--client-crl is the list of an authority: give --client-ca too")
    if _only_certificates(options) and (name := _plain(options)):
        text = f"with --client-ca and no --users only certificates log in, and through {name} none can: leave it out"
        raise _wrong(text)


def _check_broker(options: ServeOptions) -> None:
    if options.broker == "amqtt":
        if options.logins:
            raise _wrong("--logins is for --broker mosquitto; here, give --users or --client-ca")
        return
    if options.users is not None:
        raise _wrong(
            "--users cannot be given to Mosquitto, which reads no such hashes: give --logins, and add the users anew "
            "with `ringline user add NAME --mosquitto DATA/mosquitto`"
        )
    for name, why in _NOT_BESIDE.items():
        if getattr(options, name) is not None:
            raise _wrong(f"{flag(name)} cannot be had with --broker mosquitto: {why}")


def _check_safe(options: ServeOptions) -> None:
    lacks = [] if options.tls_cert is not None else ["encryption (--tls-cert)"]
    if not options.asks_who:
        lacks.append("logins (--users or --client-ca)" if options.broker == "amqtt" else "logins (--logins)")
    if lacks:
        raise _wrong(
            f"--host {options.host} can be reached from other machines, which takes {' and '.join(lacks)}; "
            "`ringline cert init` makes certificates.\nOn a network where nobody is a stranger, --insecure opens it "
            "all the same."
        )
    if name := _plain(options):
        instead = {"--port": "--tls-port", "--ws-port": "--wss-port"}[name]
        raise _wrong(
            f"{name} is not encrypted, and --host {options.host} can be reached from other machines: leave it out, and "
            f"use {instead}.\nOn a network where nobody is a stranger, --insecure opens it all the same."
        )


def _plain(options: ServeOptions) -> str | None:
    """A flag that asks for a port without TLS."""
    return next((flag(name) for name in PLAIN if getattr(options, name) is not None), None)


def _wrong(text: str) -> Failure:
    return Failure(ExitCode.WRONG_USE, text)
