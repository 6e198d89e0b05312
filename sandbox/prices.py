"""Prices as the API sends them: plausible, the same for every project, and strings."""

from typing import Any

PRICE = {"net": "3.2900000000", "gross": "3.9151000000"}
_MONTHLY = {"location": "fsn1", "price_monthly": PRICE}
_TIMES = {**_MONTHLY, "price_hourly": {"net": "0.0052000000", "gross": "0.0061880000"}}
SERVER_PRICES: list[dict[str, Any]] = [
    {
        **_TIMES,
        "included_traffic": 21_990_232_555_520,
        "price_per_tb_traffic": {"net": "1.0000000000", "gross": "1.1900000000"},
    }
]


def make_prices() -> dict[str, Any]:
    """Make the prices with every documented field; a project's can be changed by a test."""
    return {
        "currency": "EUR",
        "vat_rate": "19.000000",
        "image": {"price_per_gb_month": {"net": "0.0110000000", "gross": "0.0130900000000000"}},
        "volume": {"price_per_gb_month": {"net": "0.0440000000", "gross": "0.0523600000000000"}},
        "floating_ip": {"price_monthly": PRICE},
        "floating_ips": [{"type": "ipv4", "prices": [_MONTHLY]}],
        "primary_ips": [{"type": "ipv4", "prices": [_TIMES]}],
        "server_backup": {"percentage": "20.0000000000"},
        "server_types": [{"id": 22, "name": "cx22", "prices": SERVER_PRICES}],
        "load_balancer_types": [{"id": 1, "name": "lb11", "prices": SERVER_PRICES}],
    }
