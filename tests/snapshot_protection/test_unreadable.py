"""A listing with entries that could not be read: which of them are snapshots, and what is said of them."""

from hetzner_cloud.models import Image
from hetzner_cloud.unreadable_entries import UnreadableEntry, UnreadableImagesError
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.unreadable import Listing, UnreadableSnapshot
from tests.support.api_json import image_json

IMAGE = Image.model_validate(image_json(1))


def listing(*unreadable: UnreadableEntry) -> Listing:
    return Listing.of(UnreadableImagesError([IMAGE], unreadable))


def test_an_entry_with_an_id_is_a_snapshot_that_could_not_be_read() -> None:
    entry = UnreadableEntry(id=2, type="snapshot", reason="protection: Field required")
    error = ErrorInfo(code="unreadable", message="could not be read: protection: Field required")
    assert listing(entry) == Listing([IMAGE, UnreadableSnapshot(2, error)])


def test_an_entry_without_an_id_is_named_by_its_page() -> None:
    [error] = listing(UnreadableEntry(id=None, reason="id: Field required", page=3)).without_id
    assert error.message == "could not be read: an entry without a valid id on page 3: id: Field required"


def test_an_entry_is_taken_for_a_snapshot_unless_it_says_that_it_is_none() -> None:
    entries = [
        UnreadableEntry(id=at, type=kind, reason="x") for at, kind in enumerate(["", "snapshot", "backup"], 2)
    ]
    assert [one.id for one in listing(*entries).snapshots] == [1, 2, 3]
