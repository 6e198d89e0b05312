"""What storing an image costs, exactly: decimals, as the API returns them, and never floats.

https://docs.hetzner.cloud/reference/cloud#pricing
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,30})?")


def _decimal(value: object) -> Decimal:
    """Return a documented amount, a string of digits; `1e999999` and `NaN` are decimals too."""
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise ValueError("must be a string such as '0.0110000000'")
    return Decimal(value)


Amount = Annotated[Decimal, BeforeValidator(_decimal)]


class Price(BaseModel):
    """An amount of money without and with value-added tax."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    net: Amount
    gross: Amount


class ImagePricing(BaseModel):
    """The price of each GB of an image's `image_size` that is stored for a month."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    price_per_gb_month: Price


class Pricing(BaseModel):
    """The prices of a project, in its currency, e.g. `EUR`; only those of images are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
    image: ImagePricing
