"""What safety costs: calls under limits, over TLS and past blocklists; logins; and what others' presence costs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import figures as fig
from benchmarks.figures import Figure
from benchmarks.forms import Form
from benchmarks.lab import Lab
from benchmarks.logins import login_user
from benchmarks.orders import Order, Report
from benchmarks.processes import Running
from benchmarks.systems import embedded_fresh, embedded_memory
from benchmarks.wire import HOST, PASSWORD
from ringline_broker.authority import Authority
from ringline_broker.bindings.amqtt.users import UsersFile, new_hasher

BLOCKED: Final = 100
NAMES_IN_TURN: Final = 20
NO_LIMITS: Final = "no limits"
PROTECTED: Final = (NO_LIMITS, "limits", "TLS", "blocklists")
ANY_NAME: Final = "any name"
LOGINS: Final = (ANY_NAME, "password known", "new password", "certificate, over TLS", "handshake of TLS alone")
_ACTS: Final[tuple[tuple[str, Figure], ...]] = (
    ("ask", fig.QUESTION_US), ("subscribe", fig.SUBSCRIBE_US), ("login", fig.CONNECT_US)
)  # fmt: skip

Load = Callable[[Running, Order], Report]
"""Has the load generator carry out an order."""


@dataclass(frozen=True)
class _Variant:
    """A server with these options, under this load."""

    name: str
    options: tuple[str, ...]
    order: Order


class Safety:
    """Measures what safety costs.

    Args:
        form: how much.
        lab: where.
        book: where it is written down.
        load: what has the load generator carry out an order.
    """

    def __init__(self, form: Form, lab: Lab, book: fig.Book, load: Load) -> None:
        self._form = form
        self._lab = lab
        self._book = book
        self._load = load
        self._site: Path | None = None
        self.settings: dict[str, list[str]] = {}

    # Calls.

    def calls(self, calling: Order) -> list[tuple[str, Callable[[int], None]]]:
        """A run of calls with each of the protections, by its name; each takes a seed."""
        return [(name, partial(self._calls, name, calling)) for name in PROTECTED]

    def _calls(self, name: str, calling: Order, seed: int) -> None:
        authority = str(self._made() / "authority.pem") if name == "TLS" else ""
        order = replace(calling, seed=seed, blocked=BLOCKED if name == "blocklists" else 0, authority=authority)
        options = {"limits": ("--limited",), "TLS": (f"--tls={self._made()}",)}.get(name, ())
        with embedded_fresh(self._lab, *options) as running:
            self.settings[name] = list(running.settings)
            report = self._load(running, order)
        self._book.add(name, fig.SAFE_CPU_US, report.cpu_us)

    # Logins.

    def logins(self) -> list[tuple[str, Callable[[int], None]]]:
        """A run of each kind of login, by its name."""
        return [(name, partial(self._logins, name)) for name in LOGINS]

    def _logins(self, name: str, _seed: int) -> None:
        variant = self._login(name)
        with embedded_memory(self._lab, *variant.options) as running:
            report = self._load(running, variant.order)
        self._book.add(name, fig.LOGIN_US, report.cpu_us)

    def _login(self, name: str) -> _Variant:
        site, count, slow = self._made(), self._form.logins, self._form.slow_logins
        many = Order(kind="login", count=count, warm_up=NAMES_IN_TURN, users=0, names=NAMES_IN_TURN)
        passwords, tls = f"--users={site / 'users'}", f"--tls={site}"
        secure = replace(many, names=1, authority=str(site / "authority.pem"))
        device = site / "devices" / f"{login_user(0)}.pem"
        return {
            variant.name: variant
            for variant in (
                _Variant(ANY_NAME, (), many),
                _Variant("password known", (passwords,), many),
                _Variant("new password", (passwords,), replace(many, count=slow, warm_up=1, names=slow + 1)),
                _Variant("certificate, over TLS", (tls, "--certificates"), replace(secure, certificate=str(device))),
                _Variant("handshake of TLS alone", (tls,), replace(secure, kind="handshake")),
            )
        }[name]

    # Among others.

    def among(self, others: int, seed: int) -> None:
        """What one device does among so many others."""
        order = Order(kind="", count=self._form.acts, warm_up=self._form.acts // 10, users=others + 1, outstanding=1)
        for kind, figure in _ACTS:
            with embedded_memory(self._lab) as running:
                report = self._load(running, replace(order, kind=kind, seed=seed))
            self._book.add(fig.others_subject(others), figure, report.cpu_us)

    def _made(self) -> Path:
        """The folder of an authority, with the server's certificate, a device's, and a password file."""
        if self._site is None:
            folder, now = self._lab.folder / "site", datetime.now(UTC)
            Authority.create(folder, [HOST], now).issue_device(login_user(0), now)
            users = max(NAMES_IN_TURN, self._form.slow_logins + 1)
            hashed = new_hasher().hash(PASSWORD)
            UsersFile(folder / "users").write({login_user(number): hashed for number in range(users)})
            self._site = folder
        return self._site
