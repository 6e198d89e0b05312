"""The credentials block: what it refuses, what it shows, and the client it lends."""

import pickle
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import AuthenticationError, InvalidArgumentError
from sandbox import Sandbox
from tests.support.fixtures import TOKEN


class TestStandards(BlockStandardTestSuite):
    @pytest.fixture
    def block(self) -> type[Block]:
        return HetznerCloudCredentials

    @pytest.mark.skip(reason="no logo: one at another site's address becomes a broken picture")
    def test_has_a_valid_image(self, block: type[Block]) -> None: ...


def test_the_block_type_has_its_fixed_name_and_slug() -> None:
    assert HetznerCloudCredentials.get_block_type_name() == "Hetzner Cloud Credentials"
    assert HetznerCloudCredentials.get_block_type_slug() == "hetzner-cloud-credentials"


def test_the_defaults_are_hetzner_s_endpoint_and_a_tenth_in_reserve() -> None:
    block = HetznerCloudCredentials(token=SecretStr(TOKEN))
    assert block.endpoint == "https://api.hetzner.cloud/v1"
    assert block.rate_limit_reserve == 0.1


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        f" {TOKEN}",
        f"{TOKEN} ",
        f"{TOKEN}\n",
        f"a {TOKEN}",
        f"{TOKEN}\r\nX-Evil: 1",
        f"{TOKEN}\x00",
        f"{TOKEN}é",
    ],
    ids=repr,
)
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ValidationError, match="The token") as caught:
        HetznerCloudCredentials(token=SecretStr(token))
    with pytest.raises(ValidationError) as from_text:
        HetznerCloudCredentials.model_validate({"token": token})
    for error in (caught.value, from_text.value):
        shown = f"{error} {error!r} {error.errors()} {error.json()}"
        assert TOKEN not in shown
        assert error.__context__ is None  # the error that knows the token is not kept behind this one


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://api.hetzner.cloud/v1", "unencrypted"),
        ("http://127.0.0.1.evil.test/v1", "unencrypted"),
        ("http://localhost.evil.test/v1", "unencrypted"),
        ("http://10.0.0.1/v1", "unencrypted"),
        ("ftp://api.hetzner.cloud/v1", "must be a URL"),
        ("api.hetzner.cloud/v1", "must be a URL"),
        ("https://", "must be a URL"),
        ("https://host:port/v1", "must be a URL"),
        ("https://ho st/v1", "must be a URL"),
        ("", "must be a URL"),
        ("https://user:secret@api.hetzner.cloud/v1", "no user"),
        ("https://api.hetzner.cloud/v1?x=1", "query"),
        ("https://api.hetzner.cloud/v1#x", "fragment"),
    ],
)
def test_an_endpoint_that_is_not_safe_is_refused(endpoint: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        HetznerCloudCredentials(token=SecretStr(TOKEN), endpoint=endpoint)
    assert TOKEN not in f"{caught.value!r} {caught.value.errors()}"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://proxy.example/hetzner/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/v1",
        "http://localhost/v1",
    ],
)
def test_an_endpoint_that_is_safe_is_taken(endpoint: str) -> None:
    assert HetznerCloudCredentials(token=SecretStr(TOKEN), endpoint=f"{endpoint}/").endpoint == endpoint


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_reserve_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValidationError, match="reserve"):
        HetznerCloudCredentials(token=SecretStr(TOKEN), rate_limit_reserve=share)


def test_the_token_is_masked_wherever_the_block_is_shown(credentials: HetznerCloudCredentials) -> None:
    shown: list[Any] = [credentials, credentials.model_dump(), credentials.model_dump_json(), [credentials]]
    assert not [text for text in map(repr, shown) if TOKEN in text]
    assert TOKEN not in str(credentials)


async def test_the_client_speaks_with_the_block_s_endpoint_and_token(
    credentials: HetznerCloudCredentials, sandbox: Sandbox
) -> None:
    async with credentials.get_client() as client:
        assert len(await client.list_images(type="snapshot")) == 6


async def test_tasks_inside_a_run_share_one_client(credentials: HetznerCloudCredentials) -> None:
    async with credentials.get_client() as outer:
        async with credentials.get_client() as inner:
            assert inner is outer
        await outer.list_images()


async def test_a_refused_token_is_named_by_its_block_and_not_shown(sandbox: Sandbox) -> None:
    block = HetznerCloudCredentials(token=SecretStr("wrong-" + TOKEN), endpoint=sandbox.endpoint)
    block._block_document_name = "prod"
    with pytest.raises(AuthenticationError, match="credentials block 'prod'") as caught:
        async with block.get_client() as client:
            await client.list_images()
    assert len(sandbox.requests) == 1
    assert TOKEN.encode() not in pickle.dumps(caught.value)


async def test_a_block_is_not_saved_under_the_reserved_name(credentials: HetznerCloudCredentials) -> None:
    with pytest.raises(InvalidArgumentError, match="'environment' is reserved"):
        credentials.save("environment")
    with pytest.raises(InvalidArgumentError, match="'environment' is reserved"):
        await credentials.asave("environment", overwrite=True)
    credentials._block_document_name = "environment"
    with pytest.raises(InvalidArgumentError, match="'environment' is reserved"):
        await credentials.asave(overwrite=True)
