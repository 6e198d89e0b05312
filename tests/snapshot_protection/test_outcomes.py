"""What is reported of a snapshot, and of a group of which something failed."""

import pickle

from hetzner_cloud.errors import InvalidRequestError
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangesFailedError, make_outcome
from tests.support.tracked_snapshots import REJECTED, STARTED, image


def test_what_users_wrote_is_made_fit_to_be_shown() -> None:
    hostile = image(description="a\nb\x1b[31m\u202ec", created_from={"id": 1, "name": "s\tq"})
    outcome = make_outcome("prod", hostile, "protected")
    assert (outcome.description, outcome.server) == ("a b [31m c", "s q")


def test_a_group_s_error_keeps_every_result_when_pickled() -> None:
    error = ChangesFailedError([STARTED, REJECTED])
    copy = pickle.loads(pickle.dumps(error))
    assert copy.results == [STARTED, REJECTED]
    assert str(copy) == "1 of 2 snapshots could not be changed: another action runs (locked, c0ffee)"


def test_an_error_names_the_fields_that_the_api_did_not_accept() -> None:
    fields = [{"name": "delete", "messages": ["is unknown"]}]
    error = InvalidRequestError("not accepted", "invalid_input", 422, "c0ffee", {"fields": fields})
    assert ErrorInfo.of(error).message == "not accepted: delete: is unknown"
