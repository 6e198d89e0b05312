"""What can be made to go wrong in the sandbox."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest

from sandbox import Fault, ManualClock, Sandbox, serve
from tests.support.sandbox_client import FIRST, asked, change, error_of, ids_of, protected, start


def test_an_error_is_answered_as_often_as_the_fault_says_and_no_earlier() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", operation="list_images", status=503, after=1, times=2))
        statuses = [client.get("/images").status_code for _ in range(5)]
        other = client.get(f"/images/{FIRST}").status_code
    assert (statuses, other) == ([200, 503, 503, 200, 200], 200)


def test_all_is_well_again_when_the_faults_are_cleared() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error"), Fault(kind="drop"))
        assert client.get("/images").status_code == 500
        sandbox.faults.clear()
        assert client.get("/images").status_code == 200


def test_a_second_fault_hits_when_the_first_is_used_up() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", status=502, times=1), Fault(kind="error", status=504, times=1))
        assert [client.get("/images").status_code for _ in range(3)] == [502, 504, 200]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(409, None, "conflict"), (500, None, "server_error"), (409, "uniqueness_error", "uniqueness_error")],
)
def test_an_errors_code_goes_with_its_status_unless_given(
    status: int, code: str | None, expected: str
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(
            Fault(kind="error", status=status, code=code, message="so it goes", details={"a": 1})
        )
        answer = change(client, FIRST)
        assert answer.status_code == status
        assert answer.json() == {"error": {"code": expected, "message": "so it goes", "details": {"a": 1}}}
        assert "X-Correlation-Id" in answer.headers
        assert sandbox.actions == []


def test_an_error_has_no_code_when_the_fault_says_so() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", status=423, code=""))
        assert "code" not in client.get("/images").json()["error"]


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind="html"), 502, "<html>.*</html>"),
        (Fault(kind="html", status=504, body="<p>"), 504, "<p>"),
        (Fault(kind="empty"), 502, ""),
        (Fault(kind="truncated", status=500), 500, '{"error":{"code":"server.*[^}]'),
        (Fault(kind="wrong_shape", status=404), 404, '{"unexpected":\\[\\]}'),
    ],
)
def test_nothing_is_carried_out_when_a_fault_returns_an_error_status(
    fault: Fault, status: int, body: str
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(fault)
        answer = change(client, FIRST)
        assert (answer.status_code, sandbox.actions) == (status, [])
        assert re.fullmatch(body, answer.text)


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind="empty", status=201), 201, ""),
        (Fault(kind="html", status=200), 200, "<html>.*</html>"),
        (Fault(kind="truncated"), 201, '{"action":{"id":.*[^}]'),
        (Fault(kind="wrong_shape"), 201, '{"unexpected":\\[\\]}'),
        (Fault(kind="wrong_shape", body="[]"), 201, "\\[\\]"),
    ],
)
def test_the_change_is_made_when_only_its_answer_is_corrupted(fault: Fault, status: int, body: str) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(fault)
        answer = change(client, FIRST)
        assert answer.status_code == status
        assert re.fullmatch(body, answer.text)
        assert protected(sandbox)


def test_a_gateways_answer_lacks_the_apis_headers() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="html", times=1))
        assert not {"x-correlation-id", "ratelimit-limit"} & set(client.get("/images").headers)


@pytest.mark.parametrize(("kind", "made"), [("drop", False), ("drop_after", True), ("cut", True)])
def test_the_connection_breaks_without_a_line_in_the_log_when_a_fault_drops_it(
    *, kind: Any, made: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind=kind, times=1))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            change(client, FIRST)
        assert client.get("/images").status_code == 200
        assert protected(sandbox) is made
        assert sandbox.requests[0].status == (201 if kind == "cut" else None)
    assert [
        record.name for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ] == []
    assert capfd.readouterr() == ("", "")


def test_nothing_is_carried_out_when_the_client_leaves_during_a_delay() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delay", seconds=60))
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"/images/{FIRST}/actions/change_protection", json={"delete": True}, timeout=0.03)
        assert sandbox.actions == []


def test_the_change_is_made_when_the_client_outlasts_the_delay() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delay", seconds=0.01))
        assert change(client, FIRST).status_code == 201


async def test_serving_ends_at_once_when_a_client_still_waits_for_a_delayed_answer() -> None:
    sandbox = Sandbox()
    sandbox.faults.add(Fault(kind="delay", seconds=60))
    headers = {"Authorization": "Bearer sandbox"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        with serve(sandbox):
            waiting = asyncio.create_task(client.get(f"{sandbox.endpoint}/images"))
            while not sandbox.calls("list_images"):  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.001)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 5
        with pytest.raises(httpx.TransportError):
            await waiting


@pytest.mark.parametrize("path", ["/actions?id={id}", "/images/actions?id={id}", "/images/actions/{id}"])
def test_a_fault_hits_polls_only_when_it_is_for_polls_of_some_images(path: str) -> None:
    with asked(snapshots=2) as (sandbox, client):
        hit, missed = start(client, 2)
        sandbox.faults.add(Fault(kind="error", operation="poll", image_ids=frozenset({FIRST})))
        assert client.get("/images").status_code == 200
        assert client.get(path.format(id=hit)).status_code == 500
        assert client.get(path.format(id=missed)).status_code == 200


@pytest.mark.parametrize(("takes_effect", "expected"), [(False, False), (True, True)])
def test_an_action_ends_in_error_when_a_fault_is_for_its_image(*, takes_effect: bool, expected: bool) -> None:
    fault = Fault(
        kind="action_error",
        image_ids=frozenset({FIRST}),
        code="disk_full",
        message="no",
        takes_effect=takes_effect,
    )
    with asked(snapshots=2) as (sandbox, client):
        sandbox.faults.add(fault)
        failed, fine = (change(client, image_id).json()["action"] for image_id in (FIRST, FIRST + 1))
        assert (failed["status"], failed["error"]) == ("error", {"code": "disk_full", "message": "no"})
        assert fine["status"] == "success"
        assert (protected(sandbox), protected(sandbox, FIRST + 1)) == (expected, True)


@pytest.mark.parametrize(
    ("fault", "status", "is_protected"),
    [
        (Fault(kind="action_without_effect"), "success", False),
        (Fault(kind="action_never_ends"), "running", False),
        (Fault(kind="action_status", code="paused"), "paused", True),
    ],
)
def test_an_action_goes_as_its_fault_says_when_time_passes(
    *, fault: Fault, status: str, is_protected: bool
) -> None:
    clock = ManualClock()
    with asked(snapshots=1, action_seconds=1, clock=clock) as (sandbox, client):
        sandbox.faults.add(fault)
        (action_id,) = start(client, 1)
        clock.advance(10_000)
        action = client.get(f"/actions/{action_id}").json()["action"]
        assert (action["status"], protected(sandbox)) == (status, is_protected)
        assert (action["finished"] is None) is (status != "success")


def test_an_action_is_found_nowhere_when_a_fault_hides_it() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="action_unknown"))
        (action_id,) = start(client, 1)
        assert client.get(f"/actions?id={action_id}").json() == {"actions": []}
        assert ids_of(client.get("/images/actions"), "actions") == []
        assert ids_of(client.get(f"/images/{FIRST}/actions"), "actions") == []
        assert error_of(client.get(f"/images/actions/{action_id}")) == (404, "not_found")
        assert protected(sandbox)


def test_the_snapshot_is_gone_when_a_fault_deletes_it_before_its_change() -> None:
    with asked(snapshots=2) as (sandbox, client):
        sandbox.faults.add(Fault(kind="image_deleted", times=1))
        assert error_of(change(client, FIRST)) == (404, "not_found")
        assert change(client, FIRST + 1).status_code == 201
        assert list(sandbox.images) == [FIRST + 1]


def test_an_image_is_still_there_when_its_deletion_has_no_effect() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delete_without_effect", times=1))
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert client.get(f"/images/{FIRST}").status_code == 200
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert error_of(client.get(f"/images/{FIRST}")) == (404, "not_found")


def test_an_image_is_deleted_later_even_if_protected_by_then() -> None:
    clock = ManualClock()
    with asked(snapshots=1, clock=clock) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delete_late", seconds=30))
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert change(client, FIRST).status_code == 201
        clock.advance(29)
        assert protected(sandbox)
        clock.advance(1)
        assert ids_of(client.get("/images")) == []


def test_a_deletion_is_rejected_when_another_user_protects_the_image_just_before() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="protected_again", operation="delete_image"))
        assert error_of(client.delete(f"/images/{FIRST}")) == (423, "protected")
        assert protected(sandbox)
        assert len(ids_of(client.get(f"/images/{FIRST}/actions"), "actions")) == 1


@pytest.mark.parametrize("kind", ["delete_without_effect", "delete_late", "protected_again"])
def test_a_fault_of_deletions_changes_no_rejection(kind: Any) -> None:
    with asked(snapshots=1, protected=1, system_images=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind=kind, times=1))
        assert error_of(client.delete(f"/images/{FIRST}")) == (423, "protected")
        assert error_of(client.delete(f"/images/{FIRST + 1}")) == (422, "unsupported_error")
        assert error_of(client.delete("/images/7")) == (404, "not_found")
        assert len(sandbox.actions) == 0
        assert sandbox.faults.take_deletion_fault(FIRST), "a rejected deletion has used it up"


def test_a_fault_of_deletions_hits_no_change_and_one_of_actions_no_deletion() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delete_without_effect", times=1), Fault(kind="action_error", times=1))
        assert change(client, FIRST).json()["action"]["status"] == "error"
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert list(sandbox.images) == [FIRST]


@pytest.mark.parametrize("operation", ["list_servers", "list_prices"])
def test_a_fault_is_of_one_operation_when_it_is(operation: Any) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", status=503, operation=operation))
        statuses = {path: client.get(path).status_code for path in ("/servers", "/pricing", "/images")}
    assert [path for path, status in statuses.items() if status == 503] == [
        "/servers" if operation == "list_servers" else "/pricing"
    ]


def test_an_image_is_deleted_when_only_the_response_is_lost() -> None:
    with asked(snapshots=2) as (sandbox, client):
        sandbox.faults.add(Fault(kind="drop_after", operation="delete_image"))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.delete(f"/images/{FIRST}")
        assert list(sandbox.images) == [FIRST + 1]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("drop", Fault(kind="drop")),
        (
            "error operation=poll status=503 code=unavailable after=2 times=3",
            Fault(kind="error", operation="poll", status=503, code="unavailable", after=2, times=3),
        ),
        (
            "action_error image_ids=7,8 message='Disk is full' takes_effect=true",
            Fault(
                kind="action_error", image_ids=frozenset({7, 8}), message="Disk is full", takes_effect=True
            ),
        ),
        ("delay seconds=0.5", Fault(kind="delay", seconds=0.5)),
        ("delete_late seconds=5 times=1", Fault(kind="delete_late", seconds=5, times=1)),
    ],
)
def test_a_fault_is_read_when_it_is_written_as_on_the_command_line(spec: str, fault: Fault) -> None:
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    "spec", ["", "explode", "drop often", "drop often=1", "error status=7", "drop operation=x"]
)
def test_a_fault_is_refused_when_it_is_none(spec: str) -> None:
    with pytest.raises(ValueError, match=r"Fault|name=value"):
        Fault.parse(spec)
