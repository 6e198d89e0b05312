"""One reason of many snapshots, reported once."""

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason

LOCKED = ErrorInfo(code="locked", message="the image is locked", correlation_id="c0ffee")


def reasons(*image_ids: int, text: str) -> list[Reason]:
    return [
        make_reason(
            "failed",
            f"prod/{image_id}",
            ErrorInfo(code="locked", message=text.format(image_id)),
            image_id=image_id,
            action_id=image_id + 1_000,
        )
        for image_id in image_ids
    ]


def test_a_single_reason_names_its_action_and_request() -> None:
    [one] = join_reasons([make_reason("left_unprotected", "prod/7", LOCKED, image_id=7, action_id=42)])
    assert str(one) == "left unprotected: the image is locked (locked): prod/7 (action 42, c0ffee)"


def test_the_same_reason_of_many_is_there_once_with_its_count_and_the_first_ids() -> None:
    [one] = join_reasons(reasons(*range(1, 39), text="the image is locked"))
    assert one.head == "38 failed: the image is locked (locked)"
    assert one.subject.startswith("prod/1 (action 1001), prod/2 (action 1002), ")
    assert one.subject.endswith("prod/5 (action 1005) and 33 more")


def test_reasons_that_differ_by_the_snapshot_s_own_id_are_the_same() -> None:
    [one] = join_reasons(reasons(7, 70, text="image with ID '{}' is used 7070 times"))
    assert one.head == "2 failed: image with ID '…' is used 7070 times (locked)"
    [alone] = join_reasons(reasons(7, text="image with ID '{}' is locked"))
    assert "'7'" in alone.head


def test_different_reasons_stay_apart_in_the_order_in_which_each_is_last() -> None:
    first, second = reasons(1, 3, text="a"), reasons(2, text="b")
    assert [one.text for one in join_reasons([first[0], *second, first[1]])] == ["b (locked)", "a (locked)"]


def test_the_same_text_of_another_outcome_is_another_reason() -> None:
    assert len(join_reasons([Reason("failed", "a", "prod/1"), Reason("unfinished", "a", "prod/2")])) == 2
