"""What all lists share: sorting by several keys, and pages with their `meta`."""

from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from sandbox.request import OperationRequest

Record = dict[str, Any]


def sort_records(records: Iterable[Record], keys: Sequence[tuple[str, bool]]) -> list[Record]:
    """Sort by several keys, the most significant first; by id without any, and where all are the same."""
    ordered = _sorted(records, "id")
    for key, descending in reversed(keys):  # sorting is stable, so the most significant goes last
        ordered = _sorted(ordered, key, descending=descending)
    return ordered


def _sorted(records: Iterable[Record], key: str, *, descending: bool = False) -> list[Record]:
    records = list(records)
    try:
        return sorted(records, key=itemgetter(key), reverse=descending)
    except (KeyError, TypeError):  # some are not as documented
        return sorted(records, key=partial(_sort_value, key), reverse=descending)


def _sort_value(key: str, record: Record) -> tuple[bool, bool, Any]:
    """Return what sorts a record; one that is not as documented is no obstacle to the others."""
    value = record.get(key)
    return value is None, isinstance(value, str), "" if value is None else value


def paginate(name: str, records: Sequence[Record], request: OperationRequest) -> Record:
    """Return the page that was requested, under the list's name, with its `meta`."""
    page, per_page = request.page()
    last_page = max(1, -(-len(records) // per_page))
    pagination = {
        "page": page,
        "per_page": per_page,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last_page else None,
        "last_page": last_page,
        "total_entries": len(records),
    }
    return {name: records[(page - 1) * per_page : page * per_page], "meta": {"pagination": pagination}}
