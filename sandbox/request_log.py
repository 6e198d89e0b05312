"""What a sandbox remembers of each request."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class RequestRecord:
    """One request as it was received and answered.

    Attributes:
        path: Without the query, with the prefix `/v1`.
        query: The parameters in order, repeated ones repeated.
        json: The body, None where there is none or where it is no JSON.
        operation: What it called, as faults name it; empty where it was refused before, or called nothing.
        status: The HTTP status of the answer, None if none was sent (yet).
        started: When it was received, on the monotonic clock.
        finished: When it was answered or dropped, None until then.
        client_port: The client's end of the connection: as many ports, as many connections.
        in_flight: How many requests were being answered when this one came, itself among them.
        remaining: How many requests the bucket had left after it; 0 if it was refused for the rate limit.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    started: float
    client_port: int
    in_flight: int
    json: object = None
    operation: str = ""
    status: int | None = None
    finished: float | None = None
    remaining: int | None = None

    def values(self, name: str) -> list[str]:
        """Return a query parameter's values."""
        return [value for key, value in self.query if key == name]
