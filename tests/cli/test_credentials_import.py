"""Saving many tokens at once: nothing if a line is wrong, else each that works."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import PrefectClient

import cli.credentials_import
from blocks.credentials import HetznerCloudCredentials
from cli.credentials_import import import_credentials
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, SaveProject
from tests.support.undecryptable_blocks import undecryptable

NAMES = ("import-a", "import-b", "import-c")
WRONG = "wrong-token-of-import"


@pytest.fixture(autouse=True)
async def _forget(engine: PrefectServer) -> AsyncIterator[None]:
    yield
    for name in NAMES:
        with suppress(ValueError):
            await HetznerCloudCredentials.adelete(name)


@pytest.fixture(autouse=True)
def _no_token_is_shown(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    left = capsys.readouterr()
    assert WRONG not in left.out + left.err


def load(name: str) -> HetznerCloudCredentials | None:
    with suppress(ValueError):
        block = HetznerCloudCredentials.load(name, _sync=True)  # type: ignore[call-arg]  # of the sync wrapper
        assert isinstance(block, HetznerCloudCredentials)
        return block
    return None


def tokens_saved() -> list[str]:
    return [block.token.get_secret_value() if (block := load(name)) else "" for name in NAMES]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.txt"
    path.touch(mode=0o600)
    return path


def test_each_token_that_works_is_saved_and_the_others_are_named(
    sandbox: Sandbox, tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens.write_text(f"# ours\nimport-a={TOKEN}\nimport-b={WRONG}\n")
    assert import_credentials(str(tokens), endpoint=sandbox.endpoint) == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "import-a  saved"
    assert lines[1].startswith("import-b  rejected: ")
    assert lines[2].startswith("2 projects: 1 saved, 1 rejected. Write access cannot be checked")
    assert TOKEN not in captured.out + captured.err
    assert WRONG not in captured.out + captured.err
    assert tokens_saved() == [TOKEN, "", ""]
    assert {record.method for record in sandbox.requests} == {"GET"}


def test_the_same_file_again_saves_what_is_missing_and_changes_nothing_else(
    sandbox: Sandbox, tokens: Path, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    save_project("import-a", sandbox)
    tokens.write_text(f"import-a={TOKEN}\n")
    assert import_credentials(str(tokens)) == 0
    assert capsys.readouterr().out.startswith("import-a  saved already\n1 project: 1 saved already.")


@pytest.mark.parametrize(
    "lines", [f"import-a={TOKEN}\nimport-b\n", f"import-a={TOKEN}\nimport-a={WRONG}\n", "import-a=\n"]
)
def test_nothing_is_sent_or_saved_when_a_line_cannot_be_used(
    sandbox: Sandbox, tokens: Path, capsys: pytest.CaptureFixture[str], lines: str
) -> None:
    tokens.write_text(lines)
    assert import_credentials(str(tokens), endpoint=sandbox.endpoint) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"Nothing was saved: {tokens}: line ")
    assert TOKEN not in captured.err
    assert not captured.out
    assert not sandbox.requests
    assert tokens_saved() == ["", "", ""]


def test_a_saved_project_gets_another_token_only_on_request_and_keeps_its_endpoint(
    sandbox: Sandbox, tokens: Path, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    save_project("import-a", sandbox, token="old-one")
    tokens.write_text(f"import-a={TOKEN}\nimport-b={WRONG}\n")
    assert import_credentials(str(tokens)) == 1
    assert "another token or endpoint: 'import-a'. Use --replace" in capsys.readouterr().err
    assert not sandbox.requests
    tokens.write_text(f"import-a={TOKEN}\n")
    assert import_credentials(str(tokens), replace=True) == 0
    block = load("import-a")
    assert block
    assert (block.token.get_secret_value(), block.endpoint) == (TOKEN, sandbox.endpoint)


def test_a_block_that_cannot_be_decrypted_stops_the_import_before_any_request(
    engine: PrefectServer,
    sandbox: Sandbox,
    tokens: Path,
    save_project: SaveProject,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_project("import-a", sandbox)
    tokens.write_text(f"import-a={TOKEN}\nimport-b={WRONG}\n")
    with undecryptable(engine, "import-a"):
        assert import_credentials(str(tokens), endpoint=sandbox.endpoint, replace=True) == 1
    assert "the credentials block 'import-a' cannot be read" in capsys.readouterr().err
    assert not sandbox.requests


def test_an_endpoint_that_is_none_is_an_error_before_any_request(
    tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens.write_text(f"import-a={TOKEN}\n")
    assert import_credentials(str(tokens), endpoint="http://example.com/v1") == 1
    assert "would send the token unencrypted" in capsys.readouterr().err


def test_an_endpoint_that_is_unreachable_is_reported_for_each_project(
    tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens.write_text(f"import-a={TOKEN}\nimport-b={WRONG}\n")
    assert import_credentials(str(tokens), endpoint="http://127.0.0.1:9/v1") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines[:2]] == [
        "import-a  unreachable",
        "import-b  unreachable",
    ]
    assert tokens_saved() == ["", "", ""]


def test_an_error_of_the_prefect_server_is_reported_of_its_project(
    sandbox: Sandbox, tokens: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = PrefectClient.create_block_document

    async def fail_once(client: PrefectClient, block_document: Any, *rest: Any, **more: Any) -> Any:
        if block_document.name == "import-a":
            request = httpx.Request("POST", "http://user:password@127.0.0.1/api")
            raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(503, request=request))
        return await create(client, block_document, *rest, **more)

    monkeypatch.setattr(PrefectClient, "create_block_document", fail_once)
    tokens.write_text(f"import-a={TOKEN}\n")
    assert import_credentials(str(tokens), endpoint=sandbox.endpoint) == 1
    assert capsys.readouterr().out.startswith("import-a  failed: not saved: the Prefect API returned 503")


def test_a_project_that_another_user_saves_at_the_same_time_keeps_its_token(
    sandbox: Sandbox,
    tokens: Path,
    save_project: SaveProject,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read_before(*_: object) -> None:
        """As it was before the other one saved it."""

    save_project("import-a", sandbox, token="of-another-user")
    monkeypatch.setattr(cli.credentials_import, "read_saved_block", read_before)
    tokens.write_text(f"import-a={TOKEN}\n")
    assert import_credentials(str(tokens), endpoint=sandbox.endpoint) == 1
    assert capsys.readouterr().out.startswith(
        "import-a  failed: another user has just saved it; use --replace"
    )
    assert tokens_saved()[0] == "of-another-user"


def test_the_result_as_json_is_one_object_whatever_the_result(
    sandbox: Sandbox, tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens.write_text(f"import-a={TOKEN}\nimport-b={WRONG}\n")
    assert import_credentials(str(tokens), endpoint=sandbox.endpoint, as_json=True) == 1
    text = capsys.readouterr().out
    result = json.loads(text)
    assert (result["succeeded"], result["message"]) == (False, "2 projects: 1 saved, 1 rejected")
    assert [(one["project"], one["status"]) for one in result["projects"]] == [
        ("import-a", "saved"),
        ("import-b", "rejected"),
    ]
    assert TOKEN not in text
    tokens.write_text("import-a\n")
    assert import_credentials(str(tokens), as_json=True) == 1
    refused = json.loads(capsys.readouterr().out)
    assert refused == {"succeeded": False, "message": refused["message"]}
    assert refused["message"].startswith("Nothing was saved: ")
