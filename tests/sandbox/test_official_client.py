"""The official client, driving the sandbox: a witness from outside that it behaves as the API does."""

from collections.abc import Iterator

import pytest
from hcloud import APIException, Client
from hcloud.actions import ActionFailedException

from sandbox import Fault, Sandbox, serve


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve(
        Sandbox(snapshots=60, protected=10, backups=3, system_images=12, apps=2, action_seconds=0.02)
    ) as served:
        yield served


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    client = Client(sandbox.token, sandbox.endpoint, poll_interval=0.01)
    yield client
    client._client._session.close()


@pytest.mark.parametrize(("kind", "count"), [("snapshot", 60), ("backup", 3), ("system", 12), ("app", 2)])
def test_all_images_of_a_type_are_listed_when_the_official_client_asks(
    client: Client, kind: str, count: int
) -> None:
    images = client.images.get_all(type=[kind], include_deprecated=True)
    assert [image.type for image in images] == [kind] * count


def test_deprecated_images_are_hidden_when_the_official_client_does_not_ask_for_them(client: Client) -> None:
    assert len(client.images.get_all(type=["system"])) == 10


def test_snapshots_are_chosen_by_label_and_order_when_the_official_client_asks(client: Client) -> None:
    images = client.images.get_all(type=["snapshot"], label_selector="env=prod,role=db", sort=["id:desc"])
    ids = [image.id or 0 for image in images]
    assert ids == sorted(ids, reverse=True)
    assert {(image.labels or {}).get("role") for image in images} == {"db"}


def test_a_snapshot_is_protected_when_the_official_client_has_waited_for_its_action(
    sandbox: Sandbox, client: Client
) -> None:
    image = client.images.get_by_id(max(sandbox.images) - 20)
    assert image.type == "snapshot"
    assert image.protection == {"delete": False}
    action = image.change_protection(delete=True)
    assert action.status == "running"
    action.wait_until_finished()
    image.reload()
    assert (action.status, action.progress, image.protection) == ("success", 100, {"delete": True})
    assert [found.id for found in client.images.actions.get_all()] == [action.id]
    assert [found.id for found in image.get_actions()] == [action.id]


def test_deleting_is_refused_to_the_official_client_when_the_snapshot_is_protected(
    sandbox: Sandbox, client: Client
) -> None:
    image = client.images.get_by_id(min(sandbox.images))
    with pytest.raises(APIException) as caught:
        image.delete()
    assert caught.value.code == "protected"
    assert caught.value.correlation_id
    image.change_protection(delete=False).wait_until_finished()
    assert image.delete()
    assert image.id not in sandbox.images


def test_the_official_client_raises_the_actions_error_when_it_fails(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault(kind="action_error", code="action_failed", message="Action failed"))
    action = client.images.get_by_id(min(sandbox.images)).change_protection(delete=False)
    with pytest.raises(ActionFailedException, match="Action failed"):
        action.wait_until_finished()


def test_the_official_client_asks_again_when_a_gateway_fails(sandbox: Sandbox, client: Client) -> None:
    client._client._retry_interval_func = lambda _: 0.01
    sandbox.faults.add(Fault(kind="html", status=502, times=2))
    assert client.images.get_by_id(min(sandbox.images)).type == "snapshot"
    assert [record.status for record in sandbox.requests] == [502, 502, 200]
