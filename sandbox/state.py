"""The images, actions and servers of one project, and how they change with time; knows nothing of HTTP."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import count
from threading import RLock

from sandbox import api_errors
from sandbox.actions import ActionRecord
from sandbox.clock import Clock
from sandbox.images import FIRST_SERVER_ID, ImageRecord, make_image, seed_images
from sandbox.servers import make_server, seed_servers
from sandbox.settings import SandboxSettings


class State:
    """What the API would store; every method first applies the changes that are due by now."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self._settings = settings
        self.clock = clock
        self._lock = RLock()  # tests change things from their own thread while the server answers from its
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._turns = count()
        self._images = {image["id"]: image for image in seed_images(settings, clock())}
        self._image_ids = count(max(self._images, default=settings.first_image_id - 1) + 1)
        self._actions: dict[int, ActionRecord] = {}
        self._actions_by_image: defaultdict[int, list[ActionRecord]] = defaultdict(list)
        self._action_ids = count(settings.first_action_id)
        self.servers = {server["id"]: server for server in seed_servers(settings, self._images, clock())}
        self._server_ids = count(max(self.servers, default=FIRST_SERVER_ID - 1) + 1)
        self._finish_creating()

    @property
    def images(self) -> dict[int, ImageRecord]:
        """All images by id; what is changed in a record is seen by the next request."""
        self._apply_due_changes()
        return self._images

    def image(self, image_id: int) -> ImageRecord:
        """Return an image, or reject as not found."""
        if (image := self.images.get(image_id)) is None:
            raise api_errors.not_found("image")
        return image

    def action(self, action_id: int) -> ActionRecord:
        """Return an action that lookups find, or reject as not found."""
        action = self._actions.get(action_id)
        if action is None or not action.known:
            raise api_errors.not_found("action")
        return action

    def actions(self, ids: Iterable[int] | None = None) -> list[ActionRecord]:
        """Return the actions with these ids, those that are not found left out; all without ids."""
        found = self._actions.values() if ids is None else map(self._actions.get, dict.fromkeys(ids))
        return [action for action in list(found) if action is not None and action.known]

    def actions_of(self, image_id: int) -> list[ActionRecord]:
        """Return the actions of one image."""
        return [action for action in self._actions_by_image.get(image_id, ()) if action.known]

    def change_protection(self, image_id: int, action: ActionRecord) -> ActionRecord:
        """Start an action as the API would, or reject it; id, image and start are filled in."""
        with self._lock:
            image = self.image(image_id)
            if image.get("type") != "snapshot":
                raise api_errors.unsupported("protection can only be changed on snapshots")
            if image.get("status") == "creating" or self._is_locked(image_id):
                raise api_errors.locked()
            return self._start(replace(action, image_id=image_id))

    def set_protection(self, image_id: int, *, delete: bool) -> ActionRecord:
        """Change protection at once, as another user would; records the action that shows it."""
        with self._lock:
            self.image(image_id)
            return self._start(ActionRecord(id=0, image_id=image_id, started=0, delete=delete))

    def delete_image(self, image_id: int) -> None:
        """Delete an image whatever protects it, as if another user had; rejected where there is none."""
        with self._lock:
            self.image(image_id)
            del self._images[image_id]

    def delete_image_later(self, image_id: int, seconds: float) -> None:
        """Delete an image when so many seconds have passed, whatever protects it by then."""
        with self._lock:
            self._at(self.clock() + seconds, lambda: self._images.pop(image_id, None))

    def add_server(self, **fields: object) -> int:
        """Add a server; `fields` are those of the API's server, see `make_server`."""
        with self._lock:
            server = make_server(next(self._server_ids), self.clock(), **fields)
            self.servers[server["id"]] = server
            return int(server["id"])

    def add_snapshot(self, **fields: object) -> int:
        """Add a snapshot; `fields` are those of the API's image, see `make_image`."""
        with self._lock:
            image = make_image(next(self._image_ids), self.clock(), **fields)
            self._images[image["id"]] = image
            return int(image["id"])

    def _start(self, action: ActionRecord) -> ActionRecord:
        action = replace(action, id=next(self._action_ids), started=self.clock())
        self._actions[action.id] = action
        self._actions_by_image[action.image_id].append(action)
        if action.delete is not None and action.seconds is not None:
            self._at(action.end, partial(self._protect, action.image_id, delete=action.delete))
        self._apply_due_changes()
        return action

    def _is_locked(self, image_id: int) -> bool:
        now = self.clock()
        return self._settings.lock_while_running and any(
            action.is_running(now) for action in self._actions_by_image[image_id]
        )

    def _protect(self, image_id: int, *, delete: bool) -> None:
        if image := self._images.get(image_id):  # it may have been deleted while the action ran
            image["protection"] = {"delete": delete}

    def _finish_creating(self) -> None:
        if self._settings.creating_seconds is None:
            return
        done = {"status": "available", "image_size": 2.3}
        for image in self._images.values():
            if image["status"] == "creating":
                self._at(self.clock() + self._settings.creating_seconds, partial(image.update, done))

    def _at(self, when: float, change: Callable[[], object]) -> None:
        heapq.heappush(self._due, (when, next(self._turns), change))

    def _apply_due_changes(self) -> None:
        with self._lock:
            while self._due and self._due[0][0] <= self.clock():
                heapq.heappop(self._due)[2]()
