"""The automations of docs/automations: set for one block, listed, tried, removed, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import Automation

from blocks.credentials import HetznerCloudCredentials
from deploy.notifications import (
    Done,
    list_automations,
    read_descriptions,
    remove_automations,
    send_test,
    set_block,
)
from hetzner_cloud.errors import InvalidArgumentError
from tests.support.automations import BLOCK, notifications, save_notification_block

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_deployed")]
NAMES = [one.name for one in read_descriptions()]
SLUG = f"custom-webhook/{BLOCK}"
SENDS, MARKS = f"sends to {SLUG}", "sends to no block: marks runs as Crashed"


@pytest.fixture
async def client(engine: object) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        yield client


async def found(client: PrefectClient) -> list[Automation]:
    return [one for name in NAMES for one in await client.read_automations_by_name(name)]


async def states_of(done: AsyncIterator[Done]) -> set[str]:
    return {one.what async for one in done}


def test_every_automation_is_described() -> None:
    assert len(NAMES) == 8
    assert all(name.startswith("hetzner-snapshots - ") for name in NAMES)


async def test_they_are_created_for_a_block_kept_as_they_are_moved_to_another_and_removed(
    client: PrefectClient,
) -> None:
    await save_notification_block("http://127.0.0.1:9/")
    assert await states_of(list_automations(client)) == {"missing"}
    assert await states_of(set_block(client, SLUG)) == {"created"}
    created = await found(client)
    assert await states_of(set_block(client, SLUG)) == {"unchanged"}
    assert await states_of(list_automations(client)) == {f"enabled, {SENDS}", f"enabled, {MARKS}"}

    await client.pause_automation(created[0].id)
    await client.create_automation(read_descriptions(uuid4())[1])  # as an operator does by hand, too
    as_set = {f"disabled, {SENDS}", f"enabled, {SENDS}", f"enabled, {MARKS}"}
    [twice] = await states_of(list_automations(client)) - as_set
    assert set(twice.split("; ")) == {f"enabled, {SENDS}", "enabled, sends to a deleted block"}

    done = [one async for one in set_block(client, SLUG)]
    assert [one.what for one in done if one.name == created[0].name] == ["unchanged, disabled"]
    [merged] = [one.what for one in done if one.what.endswith(", a duplicate deleted")]
    assert merged.split(",")[0] in {"unchanged", "updated"}
    assert len(await found(client)) == len(NAMES)
    assert not (await client.read_automation(created[0].id)).enabled  # type: ignore[union-attr]

    assert await states_of(remove_automations(client)) == {"deleted"}
    assert await found(client) == []
    assert await states_of(remove_automations(client)) == set()


async def test_those_created_twice_by_hand_are_merged_and_stay_enabled_and_other_names_are_left_alone(
    client: PrefectClient,
) -> None:
    await save_notification_block("http://127.0.0.1:9/")
    [marking, *_] = [one for one in read_descriptions() if "heartbeat" in one.name]
    ours = marking.model_copy(update={"name": "of another project", "enabled": False})
    edited = marking.model_copy(update={"description": "edited", "enabled": False})
    for one in (edited, edited, marking, ours):
        await client.create_automation(one)
    done = [one.what async for one in set_block(client, SLUG) if one.name == marking.name]
    assert done == ["unchanged, a duplicate deleted, a duplicate deleted"]
    [merged] = await client.read_automations_by_name(marking.name)
    assert (merged.enabled, merged.description) == (True, marking.description)

    await client.update_automation(merged.id, edited)
    done = [one.what async for one in set_block(client, SLUG) if one.name == marking.name]
    assert done == ["updated, disabled"]
    assert await states_of(remove_automations(client)) == {"deleted"}
    [left] = await client.read_automations()
    assert (left.name, left.enabled) == ("of another project", False)


async def test_two_that_set_them_at_once_leave_one_of_each(client: PrefectClient) -> None:
    await save_notification_block("http://127.0.0.1:9/")
    await asyncio.gather(*(states_of(set_block(client, SLUG)) for _ in range(3)))
    assert sorted(one.name for one in await found(client)) == sorted(NAMES)


async def test_a_test_notification_arrives_and_one_that_cannot_is_an_error(client: PrefectClient) -> None:
    with notifications() as (url, received):
        await save_notification_block(url)
        await send_test(client, SLUG)
    assert [one["subject"] for one in received] == ["Test notification of hetzner-snapshots"]
    with pytest.raises(Exception, match="All connection attempts failed"):
        await send_test(client, SLUG)


@pytest.mark.parametrize("block", ["slack-webhook/none", "none", "a/b/c", "", "no-such-type/alerts"])
async def test_a_block_that_does_not_exist_changes_nothing(client: PrefectClient, block: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no block .* type/name"):
        await states_of(set_block(client, block))
    assert await found(client) == []


async def test_a_block_that_sends_nothing_is_rejected(client: PrefectClient) -> None:
    block = HetznerCloudCredentials.model_validate({"token": "a-token"})
    await block.save("no-notification", overwrite=True)
    with pytest.raises(InvalidArgumentError, match="is not a notification block"):
        await states_of(set_block(client, "hetzner-cloud-credentials/no-notification"))
    await HetznerCloudCredentials.adelete("no-notification")
