"""One snapshot of an approved plan: checked again, unprotected, deleted once, or protected again."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from prefect.client.orchestration import get_client

from blocks.credentials import HetznerCloudCredentials
from flows._protect_again import finish_despite_cancellation, look, look_when_settled, protect_again
from flows._prune_judging import Applying, Ended, Judged, judge_again
from hetzner_cloud.deletions import settles_deletion
from hetzner_cloud.errors import (
    AuthenticationError,
    HetznerCloudError,
    ProtectedError,
    ReadOnlyTokenError,
)
from hetzner_cloud.models import Image
from records.pruned_snapshots import record_pruned
from reporting.events import emit_left_unprotected
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_plan import PlannedDeletion
from snapshot_protection.pruned_record import PrunedSnapshot
from tasks.image_actions import change_image_protection
from tasks.images import delete_image, get_image
from tasks.waiting import wait_for_image_actions

_MUST_NOT_CHANGE = ("type", "status", "created", "created_from", "labels", "description", "deleted")
_MAX_CHECK_SECONDS = 15.0
_MAX_AGE = timedelta(seconds=15)  # of what it was judged by; else it is listed again
_MAX_AGE_AT_DELETION = timedelta(seconds=60)  # which then waits for its turn, 60 s at most
_REJECTED = (AuthenticationError, ReadOnlyTokenError)


class UnexpectedStateError(HetznerCloudError):
    """A snapshot is not as it must be right before, or after, its deletion."""


class NotRunningError(HetznerCloudError):
    """Prefect no longer calls this flow run Running; nothing more may be changed."""


@dataclass
class SnapshotPruning:
    """Prunes one snapshot.

    Attributes:
        is_unprotecting: Whether a request to remove its protection was accepted.
        is_in_doubt: Whether one may still take effect.
        is_deleting: Whether a request to delete it was sent.
        was_protected: Whether it was protected when this run first listed it for its deletion.
        judged: When it was judged last.
        ended: Its outcome, also where that could not be recorded.
    """

    applying: Applying
    planned: PlannedDeletion
    is_unprotecting: bool = False
    is_in_doubt: bool = False
    is_deleting: bool = False
    was_protected: bool = True
    judged: datetime | None = None
    ended: Ended | None = None

    @property
    def image_id(self) -> int:
        """The snapshot."""
        return self.planned.image_id

    @property
    def credentials(self) -> HetznerCloudCredentials:
        """The project."""
        return self.applying.credentials

    async def prune(self) -> Ended:
        """Prune it, if it is still due and unchanged.

        Raises:
            Exception: Before anything was changed, or what was done could not be recorded: the run must stop
                in this project.
        """
        judged = await self._judge()
        if isinstance(judged, Ended):
            return judged
        self.was_protected = judged.image.is_protected
        await self._write_ahead(judged.beside)
        try:
            ended = await self._unprotect_and_delete(judged.image)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is part of the outcome
            return await finish_despite_cancellation(partial(self._undo, error))
        except BaseException as error:  # a cancellation, or a signal
            with suppress(Exception):  # what cannot be recorded stays on record as in progress
                await finish_despite_cancellation(partial(self._undo, error))
            raise
        return await finish_despite_cancellation(partial(self._record, ended))

    async def _judge(self) -> Judged | Ended:
        judged = await judge_again(self.applying, self.planned)
        self.judged = self.applying.options.clock()
        return judged

    def _is_judged_within(self, limit: timedelta) -> bool:
        return self.judged is not None and abs(self.applying.options.clock() - self.judged) <= limit

    async def _write_ahead(self, beside: Iterable[int]) -> None:
        """Record what is about to be changed, and see that this run still may.

        If it may not, nothing stays on record: another user's deletion would be taken for this run's.
        """
        record, now = self.applying.record, self.applying.options.clock()
        await record.store(record.progress.begin(self.planned, now, beside))
        try:
            await self._require_running()
        except Exception:
            with suppress(Exception):
                await record.store(record.progress.finish(f"snapshot {self.image_id}: not started"))
            raise

    async def _require_running(self) -> None:
        """See that the lock is still this run's, and that Prefect calls it Running."""
        await self.applying.lock.require()
        async with get_client() as client:
            run = await client.read_flow_run(self.applying.flow_run_id)
        if run.state is None or not run.state.is_running():
            state = run.state.name if run.state else "unknown"
            raise NotRunningError(
                f"Prefect records this run as {state}: nothing else is changed.", "not_running"
            )

    async def _unprotect_and_delete(self, listed: Image) -> Ended:
        if listed.is_protected and (ended := await self._unprotect()):
            return ended
        listed = await self._judge_if_long_ago(listed)
        image = await get_image(self.credentials, self.image_id)
        self._require_unchanged(listed, image)
        async with asyncio.timeout(_MAX_CHECK_SECONDS):  # it is unprotected until then
            await self._require_running()
        if not self._is_judged_within(_MAX_AGE_AT_DELETION):
            raise UnexpectedStateError("The verification before the deletion took too long", "too_late")
        return await self._delete()

    async def _judge_if_long_ago(self, listed: Image) -> Image:
        """Judge it again after a long wait, in which a server may have been created from it."""
        if self._is_judged_within(_MAX_AGE):
            return listed
        found = await self._judge()
        if isinstance(found, Ended):
            raise UnexpectedStateError(f"No longer to be deleted: {found.reason}", "changed")
        return found.image

    async def _unprotect(self) -> Ended | None:
        """Remove the protection and wait; returns its outcome if it must not be deleted."""
        self.is_in_doubt = True
        try:
            action = await change_image_protection(self.credentials, self.image_id, delete=False)
        except _REJECTED as error:
            timeout_seconds = self.applying.options.timeout_seconds
            seen = await look_when_settled(self.credentials, self.image_id, timeout_seconds=timeout_seconds)
            if seen.state != "protected":
                raise
            return Ended("failed", ErrorInfo.of(error))
        except HetznerCloudError as error:
            # 423: an action runs, perhaps that of an earlier try whose response was lost
            self.is_in_doubt = isinstance(error, ProtectedError) or not settles_deletion(error)
            raise
        self.is_unprotecting = True
        run_logger().warning("Removing the protection of snapshot %d to delete it: %s", self.image_id, action)
        wait = partial(wait_for_image_actions, self.credentials, [action])
        await wait(timeout_seconds=self.applying.options.timeout_seconds, show_progress=False)
        self.is_in_doubt = False
        return None

    async def _delete(self) -> Ended:
        self.is_deleting = True
        try:
            result = await delete_image(self.credentials, self.image_id)
        except ProtectedError as error:
            seen = await look(self.credentials, self.image_id)
            if seen.state != "protected":
                raise
            return Ended("reprotected", ErrorInfo.of(error))
        if result == "already_deleted":
            self.is_deleting = False
            raise UnexpectedStateError("The API returned 404 for it", "not_found")
        if (seen := await look(self.credentials, self.image_id)).state != "deleted":
            reason = seen.error.message if seen.error else f"it is {seen.state}"
            raise UnexpectedStateError(
                f"The API accepted the deletion, but it could not be confirmed: {reason}", "not_deleted"
            )
        run_logger().warning("Deleted snapshot %d", self.image_id)
        return Ended("pruned")

    def _require_unchanged(self, listed: Image, image: Image) -> None:
        changed = [name for name in _MUST_NOT_CHANGE if getattr(listed, name) != getattr(image, name)]
        if changed:
            raise UnexpectedStateError(f"Changed during the run: other {', '.join(changed)}", "changed")
        if image.is_protected:
            raise UnexpectedStateError("It is still protected, or protected again", "still_protected")

    async def _undo(self, cause: BaseException) -> Ended:
        run_logger().warning("Protecting snapshot %d again: %r", self.image_id, cause)
        timeout_seconds = self.applying.options.timeout_seconds
        seen = await protect_again(self.credentials, self.image_id, timeout_seconds=timeout_seconds)
        why = ErrorInfo.of(cause) if isinstance(cause, Exception) else ErrorInfo(message="cancelled")
        if seen.state == "deleted":
            return await self._record(Ended("pruned" if self.is_deleting else "deleted", why))
        if seen.state == "protected" and not (seen.error and self.is_in_doubt):
            return await self._record(Ended("reprotected" if self.is_unprotecting else "failed", why))
        reason = f": {seen.error.message}" if seen.error else ""
        if self._was_left_alone(cause):
            text = f"{why.message}; it was not protected before, and could not be protected{reason}"
            return await self._record(Ended("left_unprotected", why.model_copy(update={"message": text})))
        text = f"{why.message}; then it could not be protected again{reason}"
        return await self._leave(why.model_copy(update={"message": text}))

    def _was_left_alone(self, cause: BaseException) -> bool:
        """Return whether it is surely as it was: not protected, and no deletion can still be carried out."""
        is_settled = isinstance(cause, HetznerCloudError) and settles_deletion(cause)
        return not self.was_protected and (is_settled or not self.is_deleting)

    async def _leave(self, error: ErrorInfo) -> Ended:
        """Report what is left unprotected; it stays on record as in progress for the next run."""
        self.ended = Ended("left_unprotected", error)
        run_logger().error("Snapshot %d is left unprotected: %s", self.image_id, error.message)
        emit_left_unprotected(self.applying.project, [self.image_id], error.message)
        return self.ended

    async def _record(self, ended: Ended) -> Ended:
        """Record its outcome; until that is done, it stays on record as in progress."""
        self.ended = ended
        applying, now = self.applying, self.applying.options.clock()
        if ended.outcome == "pruned":
            pruned = PrunedSnapshot.of(self.planned, pruned=now, flow_run_id=applying.flow_run_id)
            await record_pruned(applying.project, [pruned], now)
        await applying.record.store(
            applying.record.progress.finish(f"snapshot {self.image_id}: {ended.outcome.replace('_', ' ')}")
        )
        return ended
