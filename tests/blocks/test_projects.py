"""Which projects a run is about."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prefect.client.base import PrefectHttpxAsyncClient
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import find_projects, load_projects
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, SaveProject
from tests.support.undecryptable_blocks import undecryptable

SEEN = datetime(2026, 11, 24, 3, 15, tzinfo=UTC)


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
    with pytest.raises(InvalidArgumentError, match=r"named 'prdo'\. Available projects: 'prod'"):
        await load_projects(["prdo"], deployed=True)


async def test_saved_blocks_win_over_the_environment_and_it_is_said(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    save_project("prod", sandbox)
    assert [project.name for project in await load_projects(deployed=False)] == ["prod"]
    assert "HCLOUD_TOKEN is set but not used; using the saved 'prod'." in caplog.text


async def test_the_environment_is_taken_beside_saved_blocks_when_it_is_asked_for_by_name(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None
) -> None:
    save_project("prod", sandbox)
    assert [project.name for project in await load_projects(["environment"], deployed=False)] == [
        "environment"
    ]
    with pytest.raises(InvalidArgumentError, match="Available projects: 'prod'"):
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
    assert "whitespace or invalid characters" in broken.error.message
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
    assert await find_projects(["b", "c"]) == ["b", "c"]  # the run of its batch reports it


async def test_a_name_that_is_not_saved_is_an_error_of_itself_beside_others_that_are(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    prod, absent, impossible = await load_projects(["prod", "nope", "../No"], deployed=True)
    assert prod.credentials
    for one in (absent, impossible):
        assert one.error
        assert one.error.code == "unknown_project"
        assert one.error.message == "no saved credentials block has this name. Available projects: 'prod'"


async def test_the_available_projects_are_ten_at_most_in_a_message(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    for number in range(12):
        save_project(f"p{number:02}", sandbox)
    with pytest.raises(InvalidArgumentError, match=r"'p09' and 2 more\."):
        await load_projects(["nope"], deployed=True)


async def test_named_projects_are_loaded_in_one_request(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"p{number:02}" for number in range(12)]
    for name in names:
        save_project(name, sandbox)
    requested: list[str] = []
    send = PrefectHttpxAsyncClient.send

    async def record(
        client: PrefectHttpxAsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        requested.append(request.url.path)
        return await send(client, request, **options)

    monkeypatch.setattr(PrefectHttpxAsyncClient, "send", record)
    loaded = await load_projects(names[::-1], deployed=True)
    assert [one.name for one in loaded] == names[::-1]
    assert {one.credentials.endpoint for one in loaded if one.credentials} == {sandbox.endpoint}
    assert requested.count("/api/block_documents/filter") == 1
    assert not any("/name/" in path for path in requested)


@pytest.mark.parametrize(
    "result",
    [httpx.ReadTimeout("slow"), httpx.Response(200, text="<html>"), httpx.Response(200, json=[{"name": 1}])],
    ids=["timeout", "no JSON", "no block"],
)
async def test_named_projects_are_loaded_each_by_itself_where_they_cannot_be_together(
    save_project: SaveProject,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    result: httpx.Response | Exception,
) -> None:
    for name in ("a", "b"):
        save_project(name, sandbox)
    request = PrefectClient.request

    async def respond(client: PrefectClient, method: Any, path: Any, **options: Any) -> httpx.Response:
        if path != "/block_documents/filter":
            return await request(client, method, path, **options)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(PrefectClient, "request", respond)
    a, absent, b = await load_projects(["a", "nope", "b"], deployed=True)
    assert a.credentials
    assert b.credentials
    assert absent.error


@pytest.mark.slow
async def test_a_named_project_is_loaded_when_another_block_cannot_be_decrypted(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("a", "b"):
        save_project(name, sandbox)
    with undecryptable(engine, "b"):
        [loaded] = await load_projects(["a"], deployed=True)
        a, b, absent = await load_projects(["a", "b", "nope"], deployed=True)
    assert loaded.credentials
    assert a.credentials
    assert b.error
    assert b.error.message.startswith(
        "the credentials block 'b' cannot be read: the Prefect API returned 500"
    )
    assert absent.error
    assert "Available projects: 'a'" in absent.error.message


@pytest.mark.slow
async def test_every_project_but_those_that_cannot_be_decrypted_is_loaded(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        save_project(name, sandbox)
    with undecryptable(engine, "b", "d"):
        projects = await load_projects(deployed=True, known={"d": SEEN})
        names = await find_projects()
        [again] = await load_projects(names[-1:], deployed=True)
    assert [one.name for one in projects if one.credentials] == ["a", "c", "e"]
    named, unnamed = [one for one in projects if one.error]
    assert (named.name, named.is_saved) == ("d", True)
    assert (unnamed.name, unnamed.is_saved) == ("unreadable block 1", False)
    assert unnamed.error
    assert "(after 'a' and before 'c' in the order of their names)" in unnamed.error.message
    assert "PREFECT_SERVER_ENCRYPTION_KEY" in unnamed.error.message
    assert names == ["a", "c", "e", "unreadable block 1", "unreadable block 2"]
    assert again.error
    assert again.error.code == "unreadable_credentials"


@pytest.mark.slow
async def test_a_block_that_cannot_be_decrypted_is_not_taken_for_one_that_a_user_named_like_it(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("a", "unreadable-block-1"):
        save_project(name, sandbox)
    with undecryptable(engine, "a"):
        projects = await load_projects(deployed=True)
        names = await find_projects()
    assert len(names) == 2
    assert sorted(one.name for one in projects) == sorted(names)
    assert [one.error is None for one in projects if one.name == "unreadable-block-1"] == [True]


async def test_a_deleted_block_is_no_longer_saved_whatever_its_name_was(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("a", sandbox)
    _, deleted = await load_projects(deployed=True, known={"a": SEEN, "unreadable-block-1": SEEN})
    assert deleted.error
    assert deleted.error.code == "no_longer_saved"


@pytest.mark.slow
async def test_every_block_is_an_error_of_its_own_when_none_can_be_decrypted(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    for name in ("a", "b", "c"):
        save_project(name, sandbox)
    with undecryptable(engine, "a", "b", "c"):
        projects = await load_projects(deployed=True)
        assert [one.error.code for one in projects if one.error] == ["unreadable_credentials"] * 3
        assert [one.name for one in await load_projects(["c", "a"], deployed=True) if one.error] == ["c", "a"]


async def test_a_known_project_whose_block_is_deleted_is_an_error_that_says_what_to_do(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    gone, prod = await load_projects(deployed=True, known={"old": SEEN, "prod": SEEN})
    assert prod.credentials
    assert (gone.name, gone.is_saved) == ("old", False)
    assert gone.error
    assert gone.error.code == "no_longer_saved"
    assert gone.error.message == (
        "its credentials block is no longer saved; an audit last saw it on 2026-11-24 03:15 UTC. "
        "Save it again, or confirm its removal: hetzner-snapshots credentials delete old"
    )


async def test_all_known_projects_are_named_when_no_block_is_saved_any_more(
    engine: PrefectServer, token_in_environment: None
) -> None:
    known = {"b": SEEN, "a": SEEN}
    deployed = await load_projects(deployed=True, known=known)
    assert [one.name for one in deployed if one.error] == ["a", "b"]
    from_the_shell = await load_projects(deployed=False, known=known)
    assert [one.name for one in from_the_shell] == ["a", "b", "environment"]


@pytest.fixture
async def block_named_environment(save_project: SaveProject, sandbox: Sandbox) -> AsyncIterator[str]:
    """A block under the reserved name, as the UI saves it."""
    block = save_project("other", sandbox)
    async with get_client() as client:
        assert block._block_document_id
        document = await client.read_block_document(block._block_document_id)
        created = await client.create_block_document(
            BlockDocumentCreate(
                name="environment",
                data=document.data,
                block_schema_id=document.block_schema_id,
                block_type_id=document.block_type_id,
            )
        )
        yield "environment"
        await client.delete_block_document(created.id)


async def test_a_block_with_the_reserved_name_is_an_error_of_its_own(
    block_named_environment: str, sandbox: Sandbox, token_in_environment: None
) -> None:
    reserved, other = await load_projects(deployed=True)
    assert other.credentials
    assert reserved.error
    assert reserved.error.code == "reserved_name"
    assert not reserved.is_saved
    other, reserved = await load_projects(["other", "environment"], deployed=True)  # as a batch does
    assert other.credentials
    assert reserved.error
    assert reserved.error.code == "reserved_name"
    [environment] = await load_projects(["environment"], deployed=False)
    assert environment.credentials  # of HCLOUD_TOKEN
    assert environment.credentials.project == ""


async def test_the_environment_keeps_no_history_unlike_saved_projects(
    save_project: SaveProject, sandbox: Sandbox, token_in_environment: None
) -> None:
    save_project("prod", sandbox)
    projects = await load_projects(["prod", "environment"], deployed=False)
    assert [one.keeps_history for one in projects] == [True, False]
