"""What a sandbox logs of each request."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class RequestRecord:
    """One request as it was received, and its response.

    Attributes:
        path: Without the query, with the prefix `/v1`.
        query: The parameters in order, repeated ones repeated.
        json: The body, None where there is none or where it is no JSON.
        operation: What it called, as faults name it; empty where it was rejected before, or called nothing.
        status: The HTTP status of the response, None if none was sent (yet).
        started: When it was received, on the monotonic clock.
        finished: When it was responded to or dropped, None until then.
        client_port: The client's end of the connection: as many ports, as many connections.
        in_flight: How many requests were in flight when this one came, itself included.
        remaining: How many requests the bucket had left after it; 0 if it was rate limited.
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
