"""The policy that a run followed, as its report names it."""

from pydantic import BaseModel, ConfigDict

from snapshot_protection.policy import BUILT_IN, NamedPolicy

_SHOWN = 12  # characters of the SHA-256


class ReportedPolicy(BaseModel):
    """A policy by its name, and the beginning of its SHA-256.

    Attributes:
        has_rules: Whether it has any; without one, every snapshot must be protected.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    digest: str
    has_rules: bool

    @classmethod
    def of(cls, policy: NamedPolicy) -> "ReportedPolicy":
        """Name a policy."""
        return cls(
            name=policy.name, digest=policy.policy.digest[:_SHOWN], has_rules=bool(policy.policy.rules)
        )

    @property
    def is_built_in(self) -> bool:
        """Whether no policy is saved."""
        return self.name == BUILT_IN

    def __str__(self) -> str:
        """Format it for a report."""
        return f"policy '{self.name}' ({self.digest})"
