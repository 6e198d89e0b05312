"""Which projects a run is about."""

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import find_projects, load_projects
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, SaveProject


@pytest.fixture
def token_in_environment(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.setenv("HCLOUD_ENDPOINT", sandbox.endpoint)


async def test_every_saved_block_is_taken_when_no_name_is_given(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("prod", "dev"):
        save_project(name, sandbox)
    projects = await load_projects(deployed=True)
    assert [project.name for project in projects] == ["dev", "prod"]
    assert all(
        project.credentials and project.credentials.endpoint == sandbox.endpoint for project in projects
    )


async def test_the_named_blocks_are_taken_once_each_in_their_order(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("a", "b", "c"):
        save_project(name, sandbox)
    projects = await load_projects(["c", "a", "c"], deployed=True)
    assert [project.name for project in projects] == ["c", "a"]


async def test_an_unknown_name_is_refused_with_the_known_ones(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    with pytest.raises(InvalidArgumentError, match=r"named 'prdo'\. Known projects: 'prod'"):
        await load_projects(["prdo"], deployed=True)


async def test_saved_blocks_win_over_the_environment_and_it_is_said(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    save_project("prod", sandbox)
    assert [project.name for project in await load_projects(deployed=False)] == ["prod"]
    assert "HCLOUD_TOKEN is set and not used: taking the saved 'prod'." in caplog.text


async def test_the_environment_is_taken_beside_saved_blocks_when_it_is_asked_for_by_name(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None
) -> None:
    save_project("prod", sandbox)
    assert [project.name for project in await load_projects(["environment"], deployed=False)] == [
        "environment"
    ]
    with pytest.raises(InvalidArgumentError, match="Known projects: 'prod'"):
        await load_projects(["environment"], deployed=True)


async def test_the_environment_is_taken_when_no_block_is_saved(
    engine: PrefectServer, sandbox: Sandbox, token_in_environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        [project] = await load_projects(deployed=False)
    assert project.name == "environment"
    assert project.credentials
    assert project.credentials.endpoint == sandbox.endpoint
    assert "HCLOUD_TOKEN" in caplog.text
    assert TOKEN not in caplog.text


async def test_a_deployed_run_never_takes_the_environment(
    engine: PrefectServer, token_in_environment: None
) -> None:
    with pytest.raises(InvalidArgumentError, match="Save one for each project"):
        await load_projects(deployed=True)


async def test_a_token_of_the_environment_that_is_none_is_refused_without_being_shown(
    engine: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", f"{TOKEN} x")
    with pytest.raises(InvalidArgumentError, match="HCLOUD_TOKEN") as caught:
        await load_projects(deployed=False)
    assert TOKEN not in repr(caught.value)


@pytest.fixture
async def invalid_block(save_project: SaveProject, sandbox: Sandbox) -> str:
    """A block as the UI saves it: not validated."""
    block = save_project("broken", sandbox)
    assert block._block_document_id
    raw = BlockDocumentUpdate(
        block_schema_id=block._block_schema_id, data={"token": f"{TOKEN} \n"}, merge_existing_data=True
    )
    async with get_client() as client:
        await client.update_block_document(block._block_document_id, raw)
    return "broken"


async def test_a_block_that_is_not_valid_is_named_without_its_token(
    invalid_block: str, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("good", sandbox)
    broken, good = await load_projects(deployed=True)
    assert good.credentials
    assert broken.credentials is None
    assert broken.error
    assert "credentials block 'broken' is not valid: " in broken.error.message
    assert "a blank, a line break" in broken.error.message
    assert TOKEN not in repr(broken)


async def test_loading_such_a_block_by_hand_does_not_show_its_token(invalid_block: str) -> None:
    with pytest.raises(RuntimeError, match="broken") as caught:
        await HetznerCloudCredentials.aload(invalid_block)
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_names_are_found_without_tokens_and_the_environment_is_none_of_them(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None
) -> None:
    with pytest.raises(InvalidArgumentError, match="No Hetzner Cloud Credentials block is saved"):
        await find_projects()
    for name in ("b", "a"):
        save_project(name, sandbox)
    assert await find_projects() == ["a", "b"]
    assert await find_projects(["b", "b"]) == ["b"]
    with pytest.raises(InvalidArgumentError, match="named 'environment'"):
        await find_projects(["environment"])
