"""Policies from the shell: checked, saved, and shown with what they mean for the snapshots that exist."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from blocks.snapshot_policy import SnapshotPolicy, load_policy
from cli.policy import check_policy, read_policy, save_policy, show_policy
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer
from snapshot_protection.policy import Policy, Rule
from tests.support.fixtures import MakeSandbox, SaveProject

NAME = "policy-from-a-file"
RULES = """
timezone: Europe/Berlin
rules:
  - name: scratch
    projects: [policy-*]
    label_selector: purpose=scratch
    protect: false
  - name: outdated
    server: no-such-server
    prune: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
async def _forget(engine: PrefectServer) -> AsyncIterator[None]:
    yield
    with suppress(ValueError):
        await SnapshotPolicy.adelete(NAME)


def test_a_policy_is_read_from_yaml(file: Path) -> None:
    assert read_policy(file) == Policy(
        rules=[
            Rule(name="scratch", projects=["policy-*"], label_selector="purpose=scratch", protect=False),
            Rule(name="outdated", server="no-such-server", prune=True),
        ],
        timezone="Europe/Berlin",
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"rules: [", "is not valid YAML"),
        (b"rules: \xff", "is not valid YAML"),
        (b"rules: []\nrules: []", "is not valid YAML"),
        (b"rules: [{name: a, protect: true, protect: false}]", "is not valid YAML"),
        (b"!!python/object:os.system {}", "is not valid YAML"),
        (b"", "A policy is a mapping"),
        (b"rules: [{name: a, protect: no}]", "rule 'a': protect: Input should be a valid boolean"),
        (b"rules: [{name: 7}]", "name: Input should be a valid string"),
    ],
)
def test_a_file_that_is_no_policy_is_rejected(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError) as caught:
        read_policy(path)
    assert text in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"policy\.yaml cannot be read: No such file"):
        read_policy(tmp_path / "policy.yaml")


def test_a_file_is_checked_without_prefect_and_without_a_token(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_policy(file, [], offline=True) == 0
    printed = capsys.readouterr().out
    assert "policy 'policy.yaml' (" in printed
    assert "2 rules, time zone Europe/Berlin" in printed
    assert "project policy-*, labels purpose=scratch" in printed


@pytest.mark.usefixtures("_forget")
def test_a_policy_is_saved_once_and_replaced_on_request(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert save_policy(NAME, file, replace=False) == 0
    assert f"hetzner-snapshots policy show {NAME}" in capsys.readouterr().out
    assert save_policy(NAME, file, replace=False) == 1
    assert f"Policy '{NAME}' already exists; use --replace" in capsys.readouterr().err
    file.write_text("rules: []")
    assert save_policy(NAME, file, replace=True) == 0


@pytest.mark.usefixtures("_forget")
async def test_a_replaced_policy_has_nothing_left_of_the_earlier_one(engine: PrefectServer) -> None:
    await SnapshotPolicy(rules=[Rule(name="a")], timezone="Europe/Berlin").asave(NAME)
    await SnapshotPolicy().asave(NAME, overwrite=True)
    assert (await load_policy(NAME)).policy == Policy()


def test_showing_a_policy_that_is_not_saved_fails(
    engine: PrefectServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_policy("nope", []) == 1
    assert "No snapshot policy is named 'nope'." in capsys.readouterr().err


def test_what_a_file_means_is_shown_for_each_project(
    file: Path, make_sandbox: MakeSandbox, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(snapshots=0)
    scratch = sandbox.add_snapshot(labels={"purpose": "scratch"}, description="to try it")
    sandbox.add_snapshot(labels={})
    sandbox.add_snapshot(labels={"purpose": "production"})
    save_project("policy-dev", sandbox)
    save_project("other", sandbox)
    assert check_policy(file, ["policy-dev", "other"], offline=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["policy-dev", "scratch", "1", "no", "no"] in lines
    assert ["policy-dev", "(no", "rule)", "2", "yes", "no"] in lines
    assert ["other", "(no", "rule)", "3", "yes", "no"] in lines
    assert ["policy-dev", str(scratch), "scratch", "unprotected", "to", "try", "it"] in lines
    assert ["1", "of", "6", "snapshots", "exempt", "from", "protection"] in lines
    assert ["Rule", "'outdated'", "governs", "no", "snapshot."] in lines
    assert {record.operation for record in sandbox.requests} == {"list_images"}


def test_what_a_file_means_is_an_object_as_json(
    file: Path, make_sandbox: MakeSandbox, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(snapshots=0)
    scratch = sandbox.add_snapshot(labels={"purpose": "scratch"}, description="to try it")
    sandbox.add_snapshot(labels={})
    save_project("policy-dev", sandbox)
    assert check_policy(file, ["policy-dev"], offline=False, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    [project] = document["projects"]
    assert project["governed"] == [{"rule": "scratch", "snapshots": 1}, {"rule": None, "snapshots": 1}]
    assert [one["image_id"] for one in project["exempt"]] == [scratch]
    assert document["unused_rules"] == ["outdated"]


def test_a_project_that_cannot_be_read_is_named_and_the_others_are_shown(
    file: Path, make_sandbox: MakeSandbox, save_project: SaveProject, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(snapshots=1)
    save_project("policy-good", sandbox)
    save_project("policy-bad", sandbox, token="of-another-project")
    assert check_policy(file, ["policy-good", "policy-bad"], offline=False) == 1
    printed = capsys.readouterr().out
    assert "Project 'policy-bad' could not be read: " in printed
    assert ["policy-good", "(no", "rule)", "1", "yes", "no"] in [
        line.split() for line in printed.splitlines()
    ]
