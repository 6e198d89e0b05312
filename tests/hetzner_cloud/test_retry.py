"""The retry policy: what is transient, how often, after what delays."""

import pytest

from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    DeprecatedEndpointError,
    HetznerCloudError,
    InvalidRequestError,
    InvalidResponseError,
    LockedError,
    NotFoundError,
    PermissionDeniedError,
    ProtectedError,
    RateLimitError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
    ServerError,
    TransportError,
)
from hetzner_cloud.retry import RetryPolicy, is_transient

TRANSIENT: list[HetznerCloudError] = [
    TransportError("no answer", "timeout"),
    InvalidResponseError("not documented", "invalid_response", 200),
    ServerError("oops", "server_error", 500),
    ConflictError("changed", "conflict", 409),
    LockedError("locked", "locked", 423),
]
PERMANENT: list[HetznerCloudError] = [
    AuthenticationError("refused", "unauthorized", 401),
    ReadOnlyTokenError("read only", "token_readonly", 401),
    PermissionDeniedError("forbidden", "forbidden", 403),
    InvalidRequestError("invalid", "invalid_input", 422),
    NotFoundError("none", "not_found", 404),
    ConflictError("not unique", "uniqueness_error", 409),
    ConflictError("no code", "http_409", 409),
    DeprecatedEndpointError("gone", "deprecated_api_endpoint", 410),
    ResourceUnavailableError("unavailable", "resource_unavailable", 412),
    ProtectedError("protected", "protected", 423),
    RateLimitError("too many", "rate_limit_exceeded", 429),
    ApiError("moved", "http_302", 302),
]


def _name(error: HetznerCloudError) -> str:
    return f"{type(error).__name__}-{error.code}"


class Attempts:
    """Fails with each error in turn, then succeeds; records the delays."""

    def __init__(self, *faults: HetznerCloudError) -> None:
        self.faults = list(faults)
        self.made = 0
        self.pauses: list[float] = []

    async def attempt(self) -> str:
        self.made += 1
        if self.faults:
            raise self.faults.pop(0)
        return "done"

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def call(self, policy: RetryPolicy) -> str:
        return await policy.call(self.attempt, sleep=self.sleep, jitter=lambda _least, most: most)


@pytest.mark.parametrize("error", TRANSIENT, ids=_name)
async def test_a_request_is_repeated_after(error: HetznerCloudError) -> None:
    attempts = Attempts(error)
    assert is_transient(error)
    assert await attempts.call(RetryPolicy()) == "done"
    assert attempts.made == 2


@pytest.mark.parametrize("error", PERMANENT, ids=_name)
async def test_a_request_is_sent_once_when_it_meets(error: HetznerCloudError) -> None:
    attempts = Attempts(error)
    assert not is_transient(error)
    with pytest.raises(type(error)):
        await attempts.call(RetryPolicy())
    assert attempts.made == 1


async def test_the_last_error_is_raised_when_no_retry_is_left() -> None:
    attempts = Attempts(*[ServerError(f"fault {number}") for number in range(9)])
    with pytest.raises(ServerError, match="fault 5"):
        await attempts.call(RetryPolicy(retries=5))
    assert attempts.made == 6


async def test_the_maximum_delay_doubles_up_to_its_maximum() -> None:
    attempts = Attempts(*[ServerError("oops")] * 7)
    await attempts.call(RetryPolicy(retries=7, base_seconds=1, max_seconds=20))
    assert attempts.pauses == [1, 2, 4, 8, 16, 20, 20]


async def test_each_delay_is_drawn_between_zero_and_its_maximum() -> None:
    drawn: list[tuple[float, float]] = []

    def jitter(least: float, most: float) -> float:
        drawn.append((least, most))
        return 0.0

    await RetryPolicy(base_seconds=0.5).call(
        Attempts(ServerError("a"), ServerError("b")).attempt, sleep=Attempts().sleep, jitter=jitter
    )
    assert drawn == [(0, 0.5), (0, 1.0)]


async def test_no_retry_is_made_when_the_policy_has_none() -> None:
    attempts = Attempts(ServerError("oops"))
    with pytest.raises(ServerError):
        await attempts.call(RetryPolicy(retries=0))
    assert attempts.made == 1


@pytest.mark.parametrize(
    ("retry_after", "delay"), [(None, 0.5), (0.0, 0.5), (0.2, 0.5), (3.0, 3.0), (86_400.0, 60.0)]
)
async def test_the_delay_is_the_longer_of_the_policy_s_and_the_response_s_within_the_maximum(
    retry_after: float | None, delay: float
) -> None:
    errors: list[HetznerCloudError] = [ServerError("no", "unavailable", 503, None, None, retry_after)]
    slept: list[float] = []

    async def attempt() -> str:
        if errors:
            raise errors.pop()
        return "done"

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    assert await RetryPolicy().call(attempt, sleep=sleep, jitter=lambda _low, _high: 0.5) == "done"
    assert slept == [delay]


@pytest.mark.parametrize(("retry_after", "transient"), [(None, False), (0.0, True), (30.0, True)])
def test_maintenance_is_transient_where_the_response_says_for_how_long(
    retry_after: float | None,
    transient: bool,  # noqa: FBT001 - a case of the table
) -> None:
    error = ResourceUnavailableError("no", "maintenance", 403, None, None, retry_after)
    assert is_transient(error) is transient
