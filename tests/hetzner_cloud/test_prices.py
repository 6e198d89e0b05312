"""Prices: decimals as the API sends them, to the last digit, or an error."""

import pickle
from decimal import Decimal
from typing import Any

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import InvalidResponseError, PermissionDeniedError, ServerError
from hetzner_cloud.prices import Price, Pricing
from hetzner_cloud.settings import Settings
from sandbox import Sandbox, serve
from tests.support.api_json import ENDPOINT, TOKEN, error_json

PRICES = {
    "currency": "EUR",
    "vat_rate": "19.000000",
    "image": {"price_per_gb_month": {"net": "0.0110000000", "gross": "0.0130900000000000"}},
}


def price(net: Any) -> Price:
    return Price.model_validate({"net": net, "gross": "1"})


@given(st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,30})?", fullmatch=True).filter(str.isascii))
def test_an_amount_is_read_to_its_last_digit(text: str) -> None:
    amount = price(text).net
    assert amount == Decimal(text)
    assert amount.as_tuple() == Decimal(text).as_tuple()


@pytest.mark.parametrize(
    "amount",
    [
        *(0.011, 11, True, None, [], {}, "", " 1", "1 ", "1\n", "-1", "+1", ".5", "1.", "1,5", "1_000"),
        *("1e5", "1E+999999", "NaN", "Infinity", "٣", "1" * 16, "0." + "1" * 31, "9" * 100_000),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_an_amount_is_invalid_when_it_is(amount: Any) -> None:
    with pytest.raises(ValidationError):
        price(amount)


@pytest.mark.parametrize("currency", [None, 5, "", "eur", "EURO", "E\n", "EUR\n", "€€€", "<b>", "Eur"])
def test_a_currency_is_invalid_when_it_is(currency: Any) -> None:
    with pytest.raises(ValidationError):
        Pricing.model_validate(PRICES | {"currency": currency})


def test_prices_survive_pickling_and_json() -> None:
    pricing = Pricing.model_validate(PRICES)
    assert pickle.loads(pickle.dumps(pricing)) == pricing
    assert Pricing.model_validate_json(pricing.model_dump_json()) == pricing


async def test_the_price_of_images_is_read_in_the_project_s_currency() -> None:
    sandbox = Sandbox(snapshots=0)
    sandbox.prices["currency"] = "USD"
    with serve(sandbox):
        async with HetznerCloudClient(ClientConfig(SecretStr(sandbox.token), sandbox.endpoint)) as client:
            pricing = await client.list_prices()
    assert pricing.currency == "USD"
    assert str(pricing.image.price_per_gb_month.net) == "0.0110000000"
    assert str(pricing.image.price_per_gb_month.gross) == "0.0130900000000000"
    assert [(record.method, record.path) for record in sandbox.requests] == [("GET", "/v1/pricing")]


@pytest.mark.parametrize(
    "pricing",
    [
        None,
        {},
        {"currency": "EUR"},
        PRICES | {"image": None},
        PRICES | {"image": {"price_per_gb_month": "1"}},
    ],
    ids=str,
)
async def test_prices_that_are_not_as_documented_are_an_error(pricing: Any) -> None:
    with respx.mock(base_url=ENDPOINT) as hetzner:
        hetzner.get("/pricing").respond(json={"pricing": pricing})
        async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), Settings()) as client:
            with pytest.raises(InvalidResponseError, match="pricing"):
                await client.list_prices()


@pytest.mark.parametrize(
    ("status", "error"), [(403, PermissionDeniedError), (500, ServerError), (503, ServerError)]
)
async def test_an_error_is_raised_after_one_request(status: int, error: type[Exception]) -> None:
    with respx.mock(base_url=ENDPOINT) as hetzner:
        route = hetzner.get("/pricing").respond(status, json=error_json("forbidden"))
        async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), Settings()) as client:
            with pytest.raises(error):
                await client.list_prices()
    assert route.call_count == 1
