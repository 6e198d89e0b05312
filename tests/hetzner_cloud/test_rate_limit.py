"""The rate limit: how fast requests may be sent, by the responses' headers."""

import copy
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.rate_limit import RateLimit

NOW = 1_000.0  # monotonic
WALL = 1_780_000_000.0  # UNIX time
HOUR = 3_600


def headers(
    remaining: float, *, limit: float = 3_600, reset_in: float | None = None, **more: str
) -> dict[str, str]:
    """Those of a response at WALL; without `reset_in` the bucket refills as at 3,600 an hour."""
    seconds = (limit - remaining) * HOUR / limit if reset_in is None else reset_in
    names = {
        "RateLimit-Limit": f"{limit:g}",
        "RateLimit-Remaining": f"{remaining:g}",
        "RateLimit-Reset": f"{WALL + seconds:.0f}",
        "Date": date(WALL),
    }
    return names | {name.replace("_", "-"): value for name, value in more.items()}


def date(unix_time: float) -> str:
    return format_datetime(datetime.fromtimestamp(unix_time, UTC), usegmt=True)


def told(*answers: dict[str, str], reserve: float = 0.1, in_flight: int = 0) -> RateLimit:
    rate_limit = RateLimit(reserve)
    for answer in answers:
        rate_limit.update(answer, now=NOW, in_flight=in_flight)
    return rate_limit


def slots(rate_limit: RateLimit, count: int, now: float = NOW) -> list[float]:
    return [rate_limit.take_slot(now) for _ in range(count)]


def gaps(times: Iterable[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize(
    ("answers", "refill"),
    [
        ([], 1.0),
        ([headers(0, reset_in=3_600)], 1.0),
        ([headers(0, reset_in=1_800)], 2.0),
        ([headers(1_800, reset_in=900)], 2.0),
        ([headers(3_000, reset_in=600)], 1.0),
        ([headers(0, reset_in=7_200)], 0.5),
        ([headers(0, limit=7_200, reset_in=3_600)], 2.0),
        ([headers(7_000, limit=7_200, reset_in=100)], 2.0),
        ([headers(7_199, limit=7_200, reset_in=1)], 2.0),
        ([headers(3_590, reset_in=5)], 2.0),
        ([headers(3_590, reset_in=4)], 10 / 6),
        ([headers(3_000, reset_in=300), headers(3_599, reset_in=1)], 2.0),
        ([headers(3_000, reset_in=300), headers(3_600, reset_in=0)], 2.0),
        ([headers(3_600, reset_in=3_600)], 1.0),
        ([headers(0, reset_in=-10)], 1.0),
        ([headers(0, reset_in=WALL * 1_000)], 1.0),
        ([headers(0, reset_in=30 * 86_400)], 1.0),
    ],
    ids=[
        "nothing known",
        "empty for an hour",
        "empty for half an hour",
        "half full",
        "nearly full",
        "a slow bucket",
        "limit 7200, empty",
        "limit 7200",
        "limit 7200, a window of one second",
        "a window of five seconds",
        "a window of four seconds, which may be six",
        "the last good value in a short window",
        "the last good value when full",
        "full with a window",
        "a reset in the past",
        "a reset in milliseconds",
        "a reset in a month",
    ],
)
def test_the_refill_is_what_flows_back_when_there_is(answers: list[dict[str, str]], refill: float) -> None:
    assert told(*answers).refill == pytest.approx(refill)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "Mon, 99 Foo 2026 99:99:99 GMT", "0", "\x00", "x" * 10_000]
)
def test_the_limit_gives_the_refill_when_the_date_is(text: str) -> None:
    """A local clock may be an hour wrong, or be set during the run: it is not consulted."""
    assert told(headers(0, reset_in=1_800, Date=text)).refill == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"RateLimit-Limit": "3600"},
        {"RateLimit-Remaining": "0"},
        headers(0) | {"RateLimit-Limit": "0"},
        headers(0) | {"RateLimit-Limit": "-1"},
        headers(0) | {"RateLimit-Limit": "many"},
        headers(0) | {"RateLimit-Limit": "3600, 3600"},
        headers(0) | {"RateLimit-Limit": "inf"},
        headers(0) | {"RateLimit-Remaining": "nan"},
        headers(0) | {"RateLimit-Remaining": "-5"},
        headers(0) | {"RateLimit-Remaining": ""},
    ],
    ids=str,
)
def test_nothing_is_held_back_when_the_headers_are(answer: dict[str, str]) -> None:
    rate_limit = told(answer)
    assert rate_limit.remaining(NOW) is None
    assert slots(rate_limit, 100) == [0] * 100


@pytest.mark.parametrize("reset", ["", "soon", "nan", "inf", "-1", "0"])
def test_the_limit_gives_the_refill_when_the_reset_is(reset: str) -> None:
    rate_limit = told(headers(0, limit=7_200) | {"RateLimit-Reset": reset})
    assert rate_limit.refill == 2


@pytest.mark.parametrize(
    ("remaining", "in_flight", "later", "estimate"),
    [(100, 0, 0, 100), (100, 10, 0, 90), (100, 0, 60, 160), (3_590, 0, 60, 3_600), (0, 10, 0, -10)],
)
def test_what_is_left_is_estimated(remaining: int, in_flight: int, later: float, estimate: float) -> None:
    rate_limit = told(headers(remaining), in_flight=in_flight)
    assert rate_limit.remaining(NOW + later) == pytest.approx(estimate)


def test_each_request_counts_before_its_response() -> None:
    rate_limit = told(headers(2_000))
    assert slots(rate_limit, 100) == [0] * 100
    assert rate_limit.remaining(NOW) == pytest.approx(1_900)


def test_requests_go_out_at_once_above_the_reserve_and_as_it_refills_below() -> None:
    rate_limit = told(headers(365))
    waits = slots(rate_limit, 10)
    assert waits[:6] == [0] * 6  # down to the reserve of 360, and one more
    assert gaps(waits[5:]) == pytest.approx([1] * 4, rel=0.02)


@pytest.mark.parametrize(
    ("limit", "reset_in", "reserve", "remaining", "gap"),
    [
        (3_600, None, 0.1, 360, 1.0),
        (3_600, None, 0.1, 270, 4 / 3),
        (3_600, None, 0.1, 180, 2.0),
        (3_600, None, 0.1, 0, 2.0),
        (7_200, None, 0.1, 720, 0.5),
        (3_600, 1_800, 0.0, 0, 0.5),
        (3_600, None, 0.5, 1_800, 1.0),
        (3_600, None, 0.0, 0, 1.0),
        (60, None, 0.0, 0, 60.0),
        (1, None, 0.0, 0, 60.0),
    ],
)
def test_slots_are_spaced_by_the_refill_at_the_reserve_and_down_to_half_of_it_below(
    limit: int, reset_in: float | None, reserve: float, remaining: int, gap: float
) -> None:
    waits = slots(told(headers(remaining, limit=limit, reset_in=reset_in), reserve=reserve), 6)
    assert waits[0] == 0
    assert gaps(waits) == pytest.approx([gap] * 5, rel=0.03)


@pytest.mark.parametrize(("reserve", "remaining"), [(0.1, 361), (0.5, 1_801), (0.0, 1)])
def test_no_request_waits_when_the_bucket_is_just_above_the_reserve(reserve: float, remaining: int) -> None:
    assert told(headers(remaining), reserve=reserve).take_slot(NOW) == 0


def test_requests_are_slower_below_the_reserve_but_never_stop() -> None:
    rate_limit, now, sent = told(headers(0)), NOW, 0
    while now < NOW + 600:
        now += rate_limit.take_slot(now)
        sent += 1
        rate_limit.update(headers(0), now=now, in_flight=0)
    assert sent == pytest.approx(300, abs=2)  # the others take the other half


def test_requests_go_out_at_once_again_when_the_bucket_has_refilled() -> None:
    rate_limit = told(headers(300))
    slots(rate_limit, 3)
    assert slots(rate_limit, 100, NOW + 300) == [0] * 100


@pytest.mark.parametrize(("limit", "pause"), [(3_600, 1.0), (7_200, 0.5), (36_000, 0.1)])
def test_a_429_is_waited_out_as_the_bucket_refills_not_until_it_is_full(limit: int, pause: float) -> None:
    answer = headers(0, limit=limit)
    rate_limit = told(answer, reserve=0)
    assert rate_limit.on_rate_limited(answer, now=NOW, sent_at=NOW - 1) == pytest.approx(pause)
    assert slots(rate_limit, 3) == pytest.approx([pause, 2 * pause, 3 * pause])


def test_a_429_without_any_headers_is_waited_out_as_3600_an_hour_refill() -> None:
    rate_limit = told()
    assert rate_limit.on_rate_limited({}, now=NOW, sent_at=NOW - 1) == pytest.approx(1)
    assert slots(rate_limit, 3) == pytest.approx([1, 2, 3])


def test_a_429_counts_more_than_a_bucket_that_looked_full() -> None:
    rate_limit = told(headers(3_000), reserve=0)
    rate_limit.on_rate_limited({}, now=NOW, sent_at=NOW - 1)
    assert rate_limit.remaining(NOW) == 0
    assert slots(rate_limit, 3) == pytest.approx([1, 2, 3])


def test_the_delay_doubles_with_each_429_up_to_a_minute() -> None:
    rate_limit, now, pauses = told(), NOW, []
    for _ in range(9):
        pauses.append(rate_limit.on_rate_limited({}, now=now, sent_at=now - 0.1))
        now += rate_limit.take_slot(now) + 0.2
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], abs=1)


def test_concurrent_429_responses_count_as_one() -> None:
    rate_limit = told()
    pauses = [rate_limit.on_rate_limited({}, now=NOW + number / 100, sent_at=NOW - 1) for number in range(10)]
    assert max(pauses) == pytest.approx(1)
    assert rate_limit.on_rate_limited({}, now=NOW + 3, sent_at=NOW + 2) == pytest.approx(2)


def test_the_delay_starts_small_again_when_a_request_was_accepted() -> None:
    rate_limit = told()
    for seconds in (0, 10, 20):
        rate_limit.on_rate_limited({}, now=NOW + seconds, sent_at=NOW + seconds - 1)
    rate_limit.on_success()
    assert rate_limit.on_rate_limited({}, now=NOW + 100, sent_at=NOW + 99) == pytest.approx(1)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("30", 30),
        ("0", 1),
        ("0.5", 1),
        ("300", 300),
        ("301", 300),
        ("86400", 300),
        ("1e9", 1),
        ("inf", 1),
        ("nan", 1),
        ("-5", 1),
        ("soon", 1),
        ("", 1),
        (date(WALL + 30), 30),
        (date(WALL - 30), 1),
        (date(WALL + 86_400), 300),
    ],
)
def test_a_retry_after_is_honoured_within_bounds_when_it_is(retry_after: str, pause: float) -> None:
    answer = {"Retry-After": retry_after, "Date": date(WALL)}
    rate_limit = told()
    assert rate_limit.on_rate_limited(answer, now=NOW, sent_at=NOW - 1) == pytest.approx(pause)
    assert rate_limit.take_slot(NOW) == pytest.approx(pause)


def test_a_shorter_delay_never_replaces_a_longer_one() -> None:
    rate_limit = told()
    rate_limit.on_rate_limited({"Retry-After": "30"}, now=NOW, sent_at=NOW - 1)
    assert rate_limit.on_rate_limited({}, now=NOW + 1, sent_at=NOW - 1) == pytest.approx(29)
    assert rate_limit.take_slot(NOW + 1) == pytest.approx(29)


def test_the_slots_claimed_before_a_429_are_void_and_hold_nothing_back() -> None:
    bucket = RateLimit(reserve=0.0)
    bucket.update({"RateLimit-Limit": "3600", "RateLimit-Remaining": "0"}, now=0.0, in_flight=0)
    claimed = [bucket.take_slot(0.0) for _ in range(10)]
    bucket.on_rate_limited({}, now=1.0, sent_at=0.5)
    assert claimed[-1] == pytest.approx(9.0)
    assert bucket.rate_limited_since(0.0)
    assert not bucket.rate_limited_since(1.0)
    assert bucket.take_slot(1.0) == pytest.approx(1.0)


def test_a_small_bucket_that_is_full_again_in_a_second_is_not_taken_for_a_slow_one() -> None:
    bucket = RateLimit(reserve=0.0)
    told = {
        "RateLimit-Limit": "40",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1001",
        "Date": date(1_000),
    }
    bucket.update(told, now=0.0, in_flight=0)
    assert bucket.refill == pytest.approx(40 / 3)


@pytest.mark.parametrize("wrong_by", [-86_400, -3_600, 3_600, 86_400])
def test_the_refill_is_right_when_the_server_s_clock_differs_from_ours(wrong_by: float) -> None:
    answer = headers(0, reset_in=1_800 + wrong_by, Date=date(WALL + wrong_by))
    assert told(answer).refill == pytest.approx(2)


@pytest.mark.parametrize(
    "limit", ["1e-300", "5e-324", "0.5", "10000001", "1e7", "1_000", "\uff11\uff10", "9" * 400]
)
def test_a_limit_that_no_bucket_has_is_ignored(limit: str) -> None:
    assert told(headers(0) | {"RateLimit-Limit": limit}).remaining(NOW) is None


def test_a_slot_from_headers_that_are_corrected_holds_nothing_back() -> None:
    rate_limit = told(headers(0, limit=1, reset_in=86_400))
    assert slots(rate_limit, 2) == [0, 60]
    rate_limit.update(headers(360), now=NOW + 60, in_flight=0)
    assert rate_limit.take_slot(NOW + 60) <= 1


_NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "1", "3600", "1e-300", "5e-324", "1e18", "1e400", "inf", "nan", "-1", "", "0.0000001"]
    ),
    st.integers(0, 2**70).map(str),
    st.floats().map(str),
    st.text(max_size=20),
)
_DATES = st.one_of(
    st.sampled_from(
        [date(WALL), date(WALL + 3_600), "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 -0000"]
    ),
    st.text(max_size=40),
)
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "RateLimit-Limit": _NUMBERS,
        "RateLimit-Remaining": _NUMBERS,
        "RateLimit-Reset": st.one_of(
            _NUMBERS, st.integers(-100_000, 100_000).map(lambda by: f"{WALL + by:.0f}")
        ),
        "Retry-After": st.one_of(_NUMBERS, _DATES),
        "Date": _DATES,
    },
)
_EVENTS = st.lists(
    st.tuples(_HEADERS, st.booleans(), st.floats(0, 1e6), st.integers(0, 1_000)), min_size=1, max_size=30
)


@given(events=_EVENTS, reserve=st.floats(0, 1, exclude_max=True), timeout=st.floats(0.001, 900))
def test_the_delay_of_a_request_is_bounded_whatever_the_headers_are(
    events: list[tuple[dict[str, str], bool, float, int]], reserve: float, timeout: float
) -> None:
    rate_limit, now = RateLimit(reserve), NOW
    for sent, is_limited, later, in_flight in events:
        rate_limit.update(sent, now=now, in_flight=in_flight)
        if is_limited:
            rate_limit.on_rate_limited(sent, now=now, sent_at=now)
        else:
            rate_limit.on_success()
        assert 0 <= copy.copy(rate_limit).take_slot(now, max_delay=timeout) <= timeout
        delay = rate_limit.take_slot(now)
        assert 0 <= delay <= 301  # the longest Retry-After; more than the timeout's default is never slept
        assert 0 < rate_limit.refill < float("inf")
        now += delay + later


def test_requests_that_wake_up_late_are_caught_up_with_and_no_more_than_that() -> None:
    rate_limit, now, sent = told(headers(400, limit=4_000, reset_in=90)), NOW, 0  # 40 a second
    while now < NOW + 10:
        now += rate_limit.take_slot(now) + (0.06 if sent % 3 == 0 else 0.0)
        sent += 1
        rate_limit.update(headers(400, limit=4_000, reset_in=90), now=now, in_flight=0)
    assert sent == pytest.approx(400, abs=25)
