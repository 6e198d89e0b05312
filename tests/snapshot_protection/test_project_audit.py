"""When findings are news, and notified of: once, and then weekly."""

from datetime import timedelta

import pytest

from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.project_audit import ProjectAudit
from tests.support.audit_reports import NOW, finding, project

TUESDAY = NOW - timedelta(days=1)
SUNDAY = NOW - timedelta(days=3)
LAST_YEAR = NOW - timedelta(weeks=52)  # the same number of the week


def audited(*, previous: object = TUESDAY, trend: tuple[tuple[int, int], ...] = ()) -> ProjectAudit:
    points = tuple(TrendPoint(*point) for point in trend)
    return project(finding(1, "unprotected"), listed=NOW, previous=previous, trend=points)


@pytest.mark.parametrize(
    ("audit", "is_news"),
    [
        (audited(), False),
        (audited(previous=None), True),
        (audited(previous=SUNDAY), True),
        (audited(previous=LAST_YEAR), True),
        (audited(trend=((4, 5),)), False),
        (audited(trend=((3, 5), (4, 5), (4, 5))), False),
        (audited(trend=((4, 5), (3, 5))), True),
        (audited(trend=((4, 5), (4, 6))), True),
        (audited(trend=((4, 6), (4, 5))), False),
    ],
    ids=["same", "first", "new week", "a year later", "one point", "equal", "worse", "more", "fewer"],
)
def test_what_stays_is_news_in_the_first_audit_of_a_week_or_if_more_is_unprotected(
    audit: ProjectAudit, *, is_news: bool
) -> None:
    assert audit.is_news(audit.unprotected) is is_news


def test_a_new_finding_is_news() -> None:
    new = finding(2, "newly_unprotected", is_new=True)
    assert audited().is_news([new])
