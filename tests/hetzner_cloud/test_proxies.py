"""Proxies: which one the environment names, and that no password of one is ever shown."""

import os
import sys
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import InvalidArgumentError, TransportError
from hetzner_cloud.proxies import find_proxy
from hetzner_cloud.requests import ApiRequest
from hetzner_cloud.settings import Settings
from hetzner_cloud.transport import Transport
from tests.support.api_json import TOKEN
from tests.support.loopback_servers import RecordingHandler, on_loopback

HETZNER = "https://api.hetzner.cloud/v1"
SetProxies = Callable[..., None]


@pytest.fixture
def set_proxies(monkeypatch: pytest.MonkeyPatch) -> SetProxies:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_them


@pytest.mark.parametrize(
    ("variables", "endpoint", "shown"),
    [
        ({}, HETZNER, None),
        ({"HTTPS_PROXY": "http://p:3128"}, HETZNER, "the proxy http://p:3128 (HTTPS_PROXY)"),
        ({"https_proxy": "http://p:3128"}, HETZNER, "the proxy http://p:3128 (https_proxy)"),
        ({"HTTPS_PROXY": "p:3128"}, HETZNER, "the proxy http://p:3128 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "https://p:3129"}, HETZNER, "the proxy https://p:3129 (HTTPS_PROXY)"),
        ({"ALL_PROXY": "http://p:3128/"}, HETZNER, "the proxy http://p:3128 (ALL_PROXY)"),
        (
            {"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:2"},
            HETZNER,
            "the proxy http://a:1 (HTTPS_PROXY)",
        ),
        ({"HTTPS_PROXY": "http://me:pass-word@p:1"}, HETZNER, "the proxy http://p:1 (HTTPS_PROXY)"),
        ({"HTTP_PROXY": "http://p:3128"}, HETZNER, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.hetzner.cloud"}, HETZNER, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": " x, .hetzner.cloud ,"}, HETZNER, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, HETZNER, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x,*"}, HETZNER, None),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "cloud.example"},
            HETZNER,
            "the proxy http://p:1 (HTTPS_PROXY)",
        ),
        ({"HTTPS_PROXY": "http://p:1"}, "http://127.0.0.1:8080/v1", None),
        ({"HTTPS_PROXY": "no://url", "NO_PROXY": ".cloud"}, HETZNER, None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    set_proxies: SetProxies, variables: dict[str, str], endpoint: str, shown: str | None
) -> None:
    set_proxies(**variables)
    route = find_proxy(endpoint)
    assert (str(route) if route else None) == shown


@pytest.mark.parametrize(
    "no_proxy",
    ["[::1", "http://[", "://", "://x", "a b", "\x7f", "é", "*.x", ":99999", "10.0.0.0/8", ",,,", "http://"],
)
def test_no_proxy_is_never_an_error_when_it_is(set_proxies: SetProxies, no_proxy: str) -> None:
    set_proxies(HTTPS_PROXY="http://p:1", NO_PROXY=no_proxy)
    assert find_proxy(HETZNER)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "http://me:pass-word@p:99999",
        "http://me:pass-word@p:port",
        "http://me:pass-word@[::1",
        "ftp://me:pass-word@p:21",
        "socks4://me:pass-word@p:1080",
        "http://me:pass-word@",
        "http://",
        "://pass-word",
        "http://pass-word p",
        "pass-word\x7f",
        "http://pass-wordé\udcff",
        "http://" + "pass-word" * 10_000,
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_and_not_shown(
    set_proxies: SetProxies, variable: str, value: str
) -> None:
    set_proxies(**{variable: value})
    with pytest.raises(
        InvalidArgumentError, match=f"^{variable} names no proxy that can be used: "
    ) as caught:
        Transport(ClientConfig(SecretStr(TOKEN)), Settings())
    assert "pass-word" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert len(str(caught.value)) < 200


def test_a_socks_proxy_says_which_package_it_needs(
    set_proxies: SetProxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    set_proxies(ALL_PROXY="socks5://me:pass-word@p:1080")
    with pytest.raises(InvalidArgumentError, match=r"ALL_PROXY names no proxy that can be used: .*socksio"):
        find_proxy(HETZNER)


class _Refusing(RecordingHandler):
    def do_CONNECT(self) -> None:  # noqa: N802 - http.server's own name
        self.send_error(407, "log in first")


async def test_a_failed_connection_names_the_proxy_without_its_password(set_proxies: SetProxies) -> None:
    server = on_loopback(_Refusing)
    set_proxies(HTTPS_PROXY=f"http://me:pass-word@127.0.0.1:{server.server_port}")
    try:
        async with Transport(ClientConfig(SecretStr(TOKEN)), Settings()) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(ApiRequest("GET", "/images"))
    finally:
        server.shutdown()
        server.server_close()
    assert f"through the proxy http://127.0.0.1:{server.server_port} (HTTPS_PROXY)" in str(caught.value)
    assert "407 log in first" in str(caught.value)
    assert "pass-word" not in f"{caught.value!r} {vars(caught.value)}"


async def test_a_proxy_that_is_not_there_is_named(set_proxies: SetProxies) -> None:
    set_proxies(HTTPS_PROXY="http://me:pass-word@127.0.0.1:9")
    async with Transport(ClientConfig(SecretStr(TOKEN)), Settings()) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert "api.hetzner.cloud is unreachable through the proxy http://127.0.0.1:9 (HTTPS_PROXY)" in str(
        caught.value
    )
    assert "pass-word" not in str(caught.value)
