"""The application's data, packed and unpacked, and what cannot be."""

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringline.data import Undecodable, pack_data, unpack_data
from ringline.protocol.limits import MAX_DATA_BYTES

_keys = st.text(max_size=5) | st.integers(-5, 5) | st.binary(max_size=3)
_plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
_values: st.SearchStrategy[Any] = st.recursive(
    _plain | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(_values)
def test_any_value_comes_back(value: Any) -> None:
    assert unpack_data(pack_data(value)) == value


def test_nothing_is_no_bytes() -> None:
    assert pack_data(None) == b""
    assert unpack_data(b"") is None
    assert unpack_data(b"\xc0") is None


@pytest.mark.parametrize("value", [False, 0, "", b"", [], {}], ids=repr)
def test_false_and_empty_are_something(value: object) -> None:
    assert pack_data(value)
    assert unpack_data(pack_data(value)) == value


def test_not_a_number_stays_so() -> None:
    assert math.isnan(unpack_data(pack_data(math.nan)))


def test_tuples_and_buffers_come_back_as_lists_and_bytes() -> None:
    assert unpack_data(pack_data((1, (2,)))) == [1, [2]]
    assert unpack_data(pack_data(bytearray(b"x"))) == b"x"


def test_the_largest_that_fits() -> None:
    assert len(pack_data(bytes(MAX_DATA_BYTES - 3))) == MAX_DATA_BYTES


@pytest.mark.parametrize("value", [bytes(MAX_DATA_BYTES - 2), "x" * 9_000, list(range(9_000))], ids=["b", "s", "l"])
def test_what_is_too_large_is_refused_by_its_size(value: object) -> None:
    with pytest.raises(ValueError, match=r"data packs to \d+ bytes; at most 8192 are allowed"):
        pack_data(value)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, [object()], {"x": 1j}, {object(): 1}],
    ids=["object", "set", "inside", "complex", "key"],
)
def test_what_message_pack_cannot_carry_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(TypeError, match="can not serialize"):
        pack_data(value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [2**70]], ids=str)
def test_integers_beyond_64_bits_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="data cannot be packed"):
        pack_data(value)


def _endless() -> Any:
    endless: Any = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("value", [_endless(), "\ud800", {"\udfff": 1}], ids=["endless", "text", "key"])
def test_what_has_no_end_or_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"recursion|surrogates"):
        pack_data(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc1",  # reserved
        b"\x01\x01",  # two values
        b"\xa2x",  # cut short
        b"\xa1\xff",  # text that is no UTF-8
        b"\x81\x90\x01",  # a map with an array for a key
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xd6\xff" + b"\x00" * 3,  # a timestamp cut short
        b"\xc7\x0c\xff" + b"\xff" * 12,  # a timestamp with too many nanoseconds
        b"\x91" * 5_000,  # nested without end
    ],
    ids=lambda raw: repr(raw[:6]),
)
def test_what_is_no_value_comes_back_as_it_came(raw: bytes) -> None:
    assert unpack_data(raw) == Undecodable(raw)


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_value_or_comes_back_as_it_came(raw: bytes) -> None:
    value = unpack_data(raw)
    assert not isinstance(value, Undecodable) or value.raw == raw


def test_what_another_program_packed_is_read() -> None:
    packed = msgpack.packb({"a": [1, b"x", None], 2: 1.5})
    assert packed is not None
    assert unpack_data(packed) == {"a": [1, b"x", None], 2: 1.5}
