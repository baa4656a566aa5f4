"""Token buckets, with time as an argument."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringline_broker.service.buckets import Bucket, Buckets


def test_so_many_at_once_and_so_many_a_second() -> None:
    bucket = Bucket(2, 5, 100.0)
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert not bucket.take(100.5)
    assert [bucket.take(1_000.0) for _ in range(6)] == [True] * 5 + [False], "never more than it holds"


def test_time_set_back_gives_nothing() -> None:
    bucket = Bucket(1, 1, 100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(100.5)
    assert bucket.take(101.0)


def test_who_waits_as_told_gets_in_one_after_the_other() -> None:
    bucket = Bucket(10, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [True] * 3
    waits = []
    for _ in range(50):
        assert not bucket.take(0.0)
        waits.append(bucket.wait_s)
    assert all(later - earlier > 0.099 for earlier, later in pairwise(waits)), "a time each"
    assert [bucket.take(at + 0.001) for at in waits] == [True] * 50


def test_debts_are_paid_before_anything_is_given() -> None:
    bucket = Bucket(1, 2, 0.0)
    bucket.spend(5)
    assert not bucket.has_any(3.9)
    assert bucket.has_any(4.1)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.integers(1, 20), st.integers(1, 10))
def test_it_never_gives_more_than_it_should(pauses: list[float], rate: int, burst: int) -> None:
    bucket, now, given_out = Bucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        given_out += bucket.take(now)
    assert given_out <= burst + rate * now + 1e-6


def test_each_has_its_own_and_those_that_are_full_are_forgotten() -> None:
    buckets = Buckets(1, 2)
    assert [buckets.of("ann", 0.0).take(0.0) for _ in range(3)] == [True, True, False]
    assert buckets.of("bob", 0.0).take(0.0)
    for number in range(10_000):
        buckets.of(number, 0.0).take(0.0)
    assert len(buckets) == 10_002, "none of them is full"
    for number in range(10_000):
        buckets.of("flood", 10.0 + number / 1000)
    assert len(buckets) == 1


def test_who_is_not_full_is_remembered_through_a_flood_of_others() -> None:
    buckets = Buckets(1, 1_000)
    buckets.of("ann", 0.0).spend(1_500)
    for number in range(5_000):
        buckets.of(number, 1.0)
    assert not buckets.of("ann", 0.5).has_any(0.5)
    assert len(buckets) < 50
