"""A witness from outside: the official client says what the project looks like before and after a run."""

import pytest
from hcloud import APIException, Client
from hcloud.images import BoundImage

from flows.protect_snapshots import protect_snapshots
from sandbox import Sandbox
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import run


def images_seen_by_hcloud(sandbox: Sandbox) -> dict[int, BoundImage]:
    client = Client(token=sandbox.token, api_endpoint=sandbox.endpoint)
    return {image.id or 0: image for image in client.images.get_all(include_deprecated=True)}


def is_protected(image: BoundImage) -> bool:
    return bool(image.protection and image.protection["delete"])


async def test_hcloud_finds_every_snapshot_protected_and_no_other_image_touched(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=60, protected=10, backups=3, system_images=30, action_seconds=0.1)
    save_project("prod", sandbox)

    before = images_seen_by_hcloud(sandbox)
    done = await run(protect_snapshots, projects=["prod"])
    after = images_seen_by_hcloud(sandbox)

    assert done.state.is_completed()
    snapshots = {image_id for image_id, image in before.items() if image.type == "snapshot"}
    assert len(snapshots) == 60
    assert sum(is_protected(before[image_id]) for image_id in snapshots) == 10
    assert all(is_protected(after[image_id]) for image_id in snapshots)
    for image_id in before.keys() - snapshots:
        assert after[image_id].data_model == before[image_id].data_model
    assert after.keys() == before.keys()


async def test_hcloud_cannot_delete_a_snapshot_that_we_protected_and_can_once_it_is_unprotected(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1)
    save_project("prod", sandbox)
    await run(protect_snapshots, projects=["prod"])
    [snapshot] = images_seen_by_hcloud(sandbox).values()
    with pytest.raises(APIException, match="protected"):
        snapshot.delete()
    snapshot.change_protection(delete=False).wait_until_finished()
    assert snapshot.delete()
    assert not images_seen_by_hcloud(sandbox)
