"""The sandbox's prices: strings, in a currency that a test can change."""

from tests.support.sandbox_client import asked


def test_the_price_of_images_is_a_string_net_and_gross() -> None:
    with asked() as (_, client):
        pricing = client.get("/pricing").json()["pricing"]
    assert pricing["currency"] == "EUR"
    assert pricing["image"]["price_per_gb_month"] == {"net": "0.0110000000", "gross": "0.0130900000000000"}


def test_prices_are_those_of_one_project_when_a_test_changes_them() -> None:
    with asked() as (sandbox, client), asked() as (_, other):
        sandbox.prices["currency"] = "USD"
        sandbox.prices["image"]["price_per_gb_month"]["net"] = "1.0"
        assert client.get("/pricing").json()["pricing"]["currency"] == "USD"
        untouched = other.get("/pricing").json()["pricing"]
    assert (untouched["currency"], untouched["image"]["price_per_gb_month"]["net"]) == ("EUR", "0.0110000000")
