"""An error as it is reported: reports, tables and messages have it instead of an exception."""

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, ReadOnlyTokenError
from hetzner_cloud.sanitize import printable


class ErrorInfo(BaseModel):
    """The details of an error, sanitized for display.

    Attributes:
        code: The API's error code, or one of ours; empty if there is none.
        message: What went wrong.
        correlation_id: The API's, empty if there is none.
        token_rejected: Whether no request with this token can succeed.
    """

    model_config = ConfigDict(frozen=True)

    code: str = ""
    message: str = ""
    correlation_id: str = ""
    token_rejected: bool = False

    @classmethod
    def of(cls, error: Exception) -> "ErrorInfo":
        """Take the details of an error; of an unexpected one, the log has the traceback."""
        if not isinstance(error, HetznerCloudError):
            return cls(code="internal_error", message=printable(repr(error)))
        return cls(
            code=error.code or "",
            message=error.detail,
            correlation_id=error.correlation_id or "",
            token_rejected=isinstance(error, AuthenticationError | ReadOnlyTokenError),
        )

    @property
    def is_deleted(self) -> bool:
        """Whether the API returned that there is no such snapshot; a gateway's 404 has no such code."""
        return self.code == "not_found"
