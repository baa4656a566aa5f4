"""`ringline listen`: hears everything, and answers if it is told to."""

import queue
from typing import Annotated, Any, Literal

import typer

from ringline.client import SignalingClient
from ringline.errors import SignalingError
from ringline.events import Connected, Disconnected, NewInvitation
from ringline.handles import RequestHandle
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.printing import err, out_json, out_timed, printable
from ringline_broker.cli.session import ClientOptions, Forwarder, is_refused, new_client, no_broker, refused
from ringline_broker.cli.telling import tell

Policy = Literal["accept", "reject", "busy", "none"]


def listen(
    client: ClientOptions,
    answer: Annotated[
        Policy, typer.Option(help="How to answer who rings; busy is a reject with that reason, none only shows.")
    ] = "none",
) -> None:
    """Show what happens, and answer if told to.

    It stays until Ctrl-C, prints a line for every callback, and comes back by itself when the connection breaks.
    """
    ear = _Ear(answer, as_json=client.json)
    ear.client = new_client(client, Forwarder(ear.hear))
    try:
        with ear.client:
            ear.report()
    except KeyboardInterrupt:
        return


class _Ear:
    """Prints and answers on the client's thread, and tells the main thread what that cannot wait for.

    Args:
        answer: how to answer.
        as_json: print JSON.
    """

    def __init__(self, answer: Policy, *, as_json: bool) -> None:
        self._answer = answer
        self._as_json = as_json
        self._last_loss: str | None = None
        self._was_connected = False
        self._news: queue.SimpleQueue[RequestHandle[None] | Failure] = queue.SimpleQueue()
        self.client: SignalingClient

    def hear(self, name: str, event: Any) -> None:  # noqa: ANN401 - any event
        """A callback."""
        match event:
            case Connected():
                self._was_connected, self._last_loss = True, None
            case Disconnected():
                self._lost(name, event)
                return
            case NewInvitation(notice=False, to_me=True):
                tell(name, event, as_json=self._as_json)
                self.client.ringing(event.invite_id)
                self._reply(event.invite_id)
                return
            case _:
                pass
        tell(name, event, as_json=self._as_json)

    def report(self) -> None:
        """Wait for what becomes of the answers, and say so where one is refused; never returns.

        Raises:
            Failure: the first login was refused.
        """
        while True:
            news = self._news.get()
            if isinstance(news, Failure):
                raise news
            try:
                news.result()
            except SignalingError as error:
                self._say_refused(news.invite_id, error)

    def _reply(self, invite_id: str) -> None:
        match self._answer:
            case "accept":
                self._news.put(self.client.accept(invite_id))
            case "reject":
                self._news.put(self.client.reject(invite_id, reason="declined"))
            case "busy":
                self._news.put(self.client.reject(invite_id, reason="busy"))
            case _:
                pass

    def _lost(self, name: str, event: Disconnected) -> None:
        """Say once why there is no connection, however often it is tried."""
        if is_refused(event) and not self._was_connected:
            self._news.put(Failure(ExitCode.REFUSED, refused(self.client.user, event)))
            return
        if event.retry_in is None or event.reason == self._last_loss:
            return
        self._last_loss = event.reason
        if self._as_json or self._was_connected:
            tell(name, event, as_json=self._as_json)
        else:
            err(no_broker(event.reason) + "; trying again")

    def _say_refused(self, invite_id: str, error: SignalingError) -> None:
        if self._as_json:
            out_json(event="answer_refused", invite_id=invite_id, code=error.code, name=error.name, text=error.text)
        else:
            out_timed(printable(f"answer refused: {error} (id {invite_id})"))
