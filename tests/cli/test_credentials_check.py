"""Which projects are saved, and whether their tokens work."""

import json

import pytest

import cli.token_trial
from cli.credentials_check import check_credentials, list_credentials
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, SaveProject
from tests.support.undecryptable_blocks import undecryptable

WRONG = "wrong-token-of-check"


@pytest.fixture
def saved(save_project: SaveProject, sandbox: Sandbox) -> Sandbox:
    save_project("check-a", sandbox)
    save_project("check-b", sandbox, token=WRONG)
    return sandbox


def test_each_token_is_tried_with_one_request_that_changes_nothing(
    saved: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_credentials(["check-a"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "check-a  works"
    assert "Write access cannot be checked" in captured.out
    assert [record.method for record in saved.requests] == ["GET"]


def test_what_does_not_work_is_named_with_the_reason_and_no_token(
    engine: PrefectServer, saved: Sandbox, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    save_project("check-c", saved)
    dead = Sandbox()
    dead.endpoint = "http://127.0.0.1:9/v1"
    save_project("check-d", dead)
    with undecryptable(engine, "check-c"):
        assert check_credentials(["check-a", "check-b", "check-c", "check-d", "check-e"]) == 1
    captured = capsys.readouterr()
    statuses = [line.partition(": ")[0].split(maxsplit=1) for line in captured.out.splitlines()[:-1]]
    assert statuses == [
        ["check-a", "works"],
        ["check-b", "rejected"],
        ["check-c", "cannot be read"],
        ["check-d", "unreachable"],
        ["check-e", "not saved"],
    ]
    assert captured.out.splitlines()[-1].startswith(
        "5 projects: 1 works, 1 rejected, 1 cannot be read, 1 unreachable, 1 not saved. "
    )
    for token in (TOKEN, WRONG):
        assert token not in captured.out + captured.err


def test_every_saved_project_is_tried_without_names_and_none_of_the_environment(
    saved: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", "of-the-environment")
    assert check_credentials([], as_json=True) == 1
    result = json.loads(capsys.readouterr().out)
    found = {one["project"]: one["status"] for one in result["projects"]}
    assert (found["check-a"], found["check-b"]) == ("works", "rejected")
    assert "environment" not in found


def test_a_token_that_is_held_back_by_the_rate_limit_is_not_waited_for_for_minutes(
    saved: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.token_trial, "_TRIAL_SECONDS", 0.0)
    assert check_credentials(["check-a"]) == 1
    assert capsys.readouterr().out.startswith(
        "check-a  unreachable: no usable response from http://127.0.0.1"
    )


def test_names_of_which_none_is_saved_are_an_error(
    engine: PrefectServer, saved: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_credentials(["check-nope"]) == 1
    assert "Not checked: No saved Hetzner Cloud Credentials block is named 'check-nope'" in (
        capsys.readouterr().err
    )


def test_the_saved_projects_are_listed_with_their_endpoints_and_without_any_request(
    engine: PrefectServer, saved: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list_credentials() == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert ["check-a", "saved", saved.endpoint] in rows
    assert not saved.requests
    assert WRONG not in captured.out
    with undecryptable(engine, "check-b"):
        assert list_credentials(as_json=True) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["succeeded"] is False
    assert "cannot be read" in {one["status"] for one in result["projects"]}


def test_no_project_is_no_error(engine: PrefectServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_credentials() == 0
    assert capsys.readouterr().out == "No project is saved.\n"
    assert list_credentials(as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "succeeded": True,
        "message": "0 projects: none",
        "projects": [],
    }
