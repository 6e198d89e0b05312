"""What operators require of each snapshot, as data: rules, of which the first match governs it. Pure.

A snapshot that no rule matches must be protected and is never pruned: a rule that was forgotten or misspelled
never takes protection away.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from hetzner_cloud.validation import validate_label_selector

BUILT_IN = "built-in"
_MAX_KEPT = 10_000
_BRACKETED = re.compile(r"\[!?\]?[^\]]*\]")


def _validate_name(name: str) -> str:
    if not name.strip() or name != printable(name).strip():
        raise ValueError("a rule needs a name of visible characters, without whitespace around it")
    return name


def _validate_glob(glob: str) -> str:
    if glob != glob.strip():
        raise ValueError(f"the glob {glob!r} has whitespace around it")
    if "[" in _BRACKETED.sub("", glob):
        raise ValueError(f"the glob {glob!r} has a [ without a ]; write [[] for the character itself")
    return glob


def _validate_project_glob(glob: str) -> str:
    if not glob:
        raise ValueError("a project's glob is empty; leave the list empty for every project")
    return _validate_glob(glob)


def _validate_selector(selector: str) -> str:
    try:
        return validate_label_selector(selector)
    except InvalidArgumentError as error:
        raise ValueError(str(error)) from None


def _validate_timezone(key: str) -> str:
    try:
        ZoneInfo(key)
    except (ValueError, OSError, KeyError):  # no such file, a folder, outside of the folder of time zones
        raise ValueError(f"there is no time zone {key!r}; write e.g. UTC or Europe/Berlin") from None
    return key


@lru_cache(maxsize=256)
def _parsed(selector: str) -> LabelSelector:
    return LabelSelector.parse(selector)


Glob = Annotated[str, AfterValidator(_validate_glob)]
Timezone = Annotated[str, AfterValidator(_validate_timezone)]
Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_KEPT)]


class Keep(BaseModel):
    """Which snapshots of a group retention keeps: those that any of these keeps, as in restic and borg.

    Attributes:
        last: The newest so many.
        within_days: Those that are younger, in days.
        daily: The newest of each of so many calendar days that have one.
        weekly: The same of ISO weeks.
        monthly: The same of months.
        yearly: The same of years.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    last: Annotated[int, Field(strict=True, ge=1, le=_MAX_KEPT)] = 3
    within_days: Annotated[float, Field(ge=0, le=36_600, allow_inf_nan=False)] = 7
    daily: Count = 7
    weekly: Count = 4
    monthly: Count = 6
    yearly: Count = 0


class Rule(BaseModel):
    """What is wanted of the snapshots that match all of its conditions; an empty condition matches any.

    Globs know `*`, `?` and `[abc]`, and compare case-sensitively.

    Attributes:
        name: Names the rule in reports.
        projects: Globs of project names, of which one must match.
        server: A glob of the name of the server that the snapshot was created from; a snapshot of which no
            server is known does not match any.
        description: A glob of the snapshot's description.
        label_selector: A label selector, e.g. env=dev,!keep.
        protect: Whether the snapshot must be protected.
        prune: Whether retention may delete it; otherwise it is kept forever.
        keep: What retention keeps where it may delete.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_validate_name)]
    projects: list[Annotated[str, AfterValidator(_validate_project_glob)]] = []
    server: Glob = ""
    description: Glob = ""
    label_selector: Annotated[str, AfterValidator(_validate_selector)] = ""
    protect: StrictBool = True
    prune: StrictBool = False
    keep: Keep = Keep()

    def matches(self, project: str, image: Image) -> bool:
        """Return whether the rule's conditions hold for a snapshot; what cannot be read fulfils none."""
        return not self.undecided(image) and self.may_match(project, image)

    def may_match(self, project: str, image: Image) -> bool:
        """Return whether those of the rule's conditions hold that are about what could be read."""
        skipped = self.undecided(image)
        return (
            (not self.projects or any(fnmatchcase(project, glob) for glob in self.projects))
            and (not self.server or "server" in skipped or self._matches_server(image))
            and (
                not self.description
                or "description" in skipped
                or fnmatchcase(image.description, self.description)
            )
            and (not self.label_selector or "labels" in skipped or self._matches_labels(image))
        )

    def undecided(self, image: Image) -> list[str]:
        """Return what the rule has a condition on and could not be read of a snapshot."""
        conditions = {
            "labels": bool(self.label_selector) and image.labels is None,
            "server": bool(self.server) and "server" in image.unreadable,
            "description": bool(self.description) and "description" in image.unreadable,
        }
        return [what for what, is_undecided in conditions.items() if is_undecided]

    def _matches_server(self, image: Image) -> bool:
        server = image.created_from.name if image.created_from else ""
        return bool(server) and fnmatchcase(server, self.server)

    def _matches_labels(self, image: Image) -> bool:
        return image.labels is not None and _parsed(self.label_selector).matches(image.labels)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the policy requires of a snapshot.

    Attributes:
        rule: The rule that governs it; None if no rule matches it, or if it is unknown which one does.
        unreadable: What could not be read, and decides which rule governs it; empty if that is known.
    """

    rule: Rule | None = None
    unreadable: str = ""

    @property
    def protect(self) -> bool:
        """Whether it must be protected."""
        return self.rule is None or self.rule.protect

    @property
    def reason(self) -> str:
        """Why: the rule by its name, or that there is none."""
        if self.unreadable:
            return f"its {self.unreadable} could not be read"
        return f"rule '{self.rule.name}'" if self.rule else "no rule matches"


def _validate_rules(rules: list[Rule]) -> list[Rule]:
    names = Counter(rule.name for rule in rules)
    if repeated := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"more than one rule is named {repeated[0]!r}; reports name rules, so rename one")
    return rules


Rules = Annotated[list[Rule], AfterValidator(_validate_rules)]


class Policy(BaseModel):
    """Rules in the order in which they are tried, and the time zone of calendar periods."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Rules = []
    timezone: Timezone = "UTC"

    @property
    def digest(self) -> str:
        """The SHA-256 of what the policy says, in hexadecimal; equal for policies that say the same."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()

    def require(self, project: str, image: Image) -> Requirement:
        """Return what is required of a snapshot: that of the first rule that matches it.

        Where what could not be read decides whether a rule is the first, it must be protected.
        """
        for rule in self.rules:
            if rule.may_match(project, image):
                undecided = rule.undecided(image)
                return Requirement(unreadable=undecided[0]) if undecided else Requirement(rule)
        return Requirement()


@dataclass(frozen=True)
class NamedPolicy:
    """A policy and where it comes from: the name of the saved block, or `built-in`."""

    name: str = BUILT_IN
    policy: Policy = field(default_factory=Policy)

    def __str__(self) -> str:
        """Return what reports call it."""
        return f"policy '{self.name}' ({self.policy.digest[:12]})"
