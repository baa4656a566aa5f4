"""The registries: errors, reasons, messages."""

from typing import Any

import pytest

from ringline.protocol.answers import ANSWER, Refusal, State, encode_answer
from ringline.protocol.answers import Answer as AnswerMessage
from ringline.protocol.blocklist_requests import BLOCKLIST_REQUESTS
from ringline.protocol.codec import Codec
from ringline.protocol.errors import BAD_PARAMETER, BY_NAME, REGISTRY, Fault, ProtocolError, RinglineError
from ringline.protocol.events import EVENTS
from ringline.protocol.group_events import GROUP_EVENTS
from ringline.protocol.group_requests import GROUP_REQUESTS, OnGroup
from ringline.protocol.group_states import GROUP, MEMBER
from ringline.protocol.limits import MAX_REASON_BYTES, MAX_REQUEST_BYTES
from ringline.protocol.reasons import REASONS
from ringline.protocol.requests import REQUESTS, Invite, OnInvitation, RequestRefused, decode_request, encode_request
from ringline.protocol.shapes import GroupEvent

CODECS: list[Codec[Any]] = [
    *REQUESTS.values(), *EVENTS.values(), *GROUP_EVENTS.values(), ANSWER, Codec(Refusal), Codec(State), GROUP, MEMBER,
]  # fmt: skip


def test_error_names_are_unique_and_fit_a_refusal() -> None:
    assert len(BY_NAME) == len(REGISTRY)
    for row in REGISTRY:
        refusal = Refusal(code=row.code, name=row.name, text=row.meaning)
        assert encode_answer(AnswerMessage(re=bytes(8), err=refusal))
        assert len(row.name) <= 32
        assert row.meaning.endswith(".")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bad_parameter", 6017),
        ("too_many_requests", 7008),
        ("unknown_invitation", 8010),
        ("invitation_over", 8010),
        ("not_permitted", 8011),
        ("already_exists", 8012),
        ("not_members", 10004),
        ("group_not_permitted", 10007),
        ("owner_cannot_quit", 10009),
        ("unknown_group", 10010),
        ("already_member", 10013),
        ("group_full", 10014),
        ("muted", 10017),
        ("group_exists", 10021),
        ("attributes_changed", 10056),
    ],
)
def test_codes_that_are_tencents(name: str, code: int) -> None:
    assert BY_NAME[name].code == code


def test_only_the_servers_faults_are_worth_repeating() -> None:
    assert {row.name for row in REGISTRY if row.fault is Fault.SERVER} == {
        "server_unavailable",
        "not_connected",
        "no_answer",
    }


def test_an_error_says_its_field() -> None:
    fault = ProtocolError(BAD_PARAMETER, "is missing", "iid")
    assert (str(fault), fault.field, fault.code) == ("iid: is missing", "iid", BAD_PARAMETER)
    assert str(ProtocolError(BAD_PARAMETER, "must be a map")) == "must be a map"
    assert isinstance(fault, RinglineError)


def test_reasons_fit_their_field() -> None:
    assert all(len(word) <= MAX_REASON_BYTES and meaning.endswith(".") for word, meaning in REASONS.items())
    assert {"declined", "busy", "do_not_disturb", "unsupported", "gone", "crossing"} <= REASONS.keys()


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.message.__name__)
def test_every_field_says_what_it_is(codec: Codec[object]) -> None:
    keys = [field.key for field in codec.fields]
    assert len(keys) == len(set(keys))
    for field in codec.fields:
        assert field.meaning.endswith(".")
        assert field.kind.describes


def test_events_of_groups_and_of_invitations_share_no_name() -> None:
    assert not EVENTS.keys() & GROUP_EVENTS.keys()
    assert all(issubclass(codec.message, GroupEvent) for codec in GROUP_EVENTS.values())


def test_requests_about_groups_are_told_by_their_name() -> None:
    assert {op for op in REQUESTS if op.startswith("group_")} == {request.op for request in GROUP_REQUESTS}
    assert {request.op for request in GROUP_REQUESTS if not issubclass(request, OnGroup)} == {"group_mine"}


def test_requests_about_the_blocklist_are_about_no_invitation_and_no_group() -> None:
    assert [request.op for request in BLOCKLIST_REQUESTS] == ["block", "unblock", "blocked"]
    assert not [request for request in BLOCKLIST_REQUESTS if issubclass(request, OnInvitation | OnGroup)]


def test_a_request_of_another_kind_is_refused_whole() -> None:
    invite = Invite(id=bytes(8), dev="d1", iid="i1", to=("bob",))
    with pytest.raises(RequestRefused) as refused:
        decode_request(encode_request(invite) + bytes(MAX_REQUEST_BYTES))
    assert (refused.value.code.name, refused.value.reply_to) == ("too_large", None)
