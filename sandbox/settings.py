"""What a sandbox is made of; the command line offers every field as an option of the same name."""

from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

MAX_NUMBER = 2**53 - 1  # the largest id that the API documents


class SandboxSettings(BaseModel):
    """The project a sandbox stands for, and how it responds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    token: str = Field("sandbox", min_length=1, repr=False, description="the token it accepts")
    read_only_token: str | None = Field(None, repr=False, description="a second, read-only token")
    project: str = Field("", description="a name with which the descriptions of the snapshots begin")

    snapshots: NonNegativeInt = Field(60, description="how many snapshots there are")
    protected: NonNegativeInt = Field(0, description="how many of the snapshots are protected at the start")
    creating: NonNegativeInt = Field(0, description="how many of the snapshots are still being created")
    creating_seconds: NonNegativeFloat | None = Field(
        None, description="when those are done; by default never"
    )
    backups: NonNegativeInt = Field(0, description="how many backups there are")
    system_images: NonNegativeInt = Field(0, description="how many system images there are")
    apps: NonNegativeInt = Field(0, description="how many app images there are")
    servers: NonNegativeInt = Field(
        0, description="how many servers there are; the first, fourth … are made from the first snapshots"
    )
    first_image_id: PositiveInt = Field(100_000_001, le=MAX_NUMBER, description="the first snapshot's id")
    first_action_id: PositiveInt = Field(
        504_538_401_287_250, le=MAX_NUMBER, description="the first action's id"
    )

    latency_seconds: NonNegativeFloat = Field(0.0, description="how long every response takes")
    action_seconds: NonNegativeFloat = Field(0.0, description="how long a change runs until it takes effect")
    rate_limit: PositiveInt = Field(3600, le=MAX_NUMBER, description="how many requests the bucket holds")
    rate_refill_per_second: float | None = Field(
        None, ge=1e-6, description="how fast the bucket refills; by default in an hour"
    )
    lock_while_running: bool = Field(
        default=False, description="reject a change as locked while another one runs on the same snapshot"
    )
    action_for_image_gone: bool = Field(
        default=False, description="return 410 for the deprecated GET /images/{id}/actions/{action_id}"
    )
    success_carries_error: bool = Field(
        default=False, description="put an error object on actions that succeed, as a documented example does"
    )

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> Self:
        if self.protected + self.creating > self.snapshots:
            raise ValueError("More snapshots are to be protected or creating than there are.")
        return self
