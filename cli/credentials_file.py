"""The file of `credentials import`: lines `name=token`. No message quotes a line: it may be a token."""

import os
import re
import stat
import sys
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.validation import validate_token
from snapshot_protection.wording import join_bounded

STANDARD_INPUT = "-"
_MAX_BYTES = 1_000_000
_NAME = re.compile(r"[a-z0-9-]{1,200}")
_MAX_NAMED = 20


@dataclass(frozen=True)
class ImportedToken:
    """A line: the name of a project, and its token."""

    number: int
    name: str
    token: SecretStr


def read_tokens(source: str) -> list[ImportedToken]:
    """Read a file, or standard input if it is `-`.

    Raises:
        InvalidArgumentError: It cannot be read, or a line cannot be used; names each such line by its number.
    """
    return parse_tokens(_read(source), "standard input" if source == STANDARD_INPUT else source)


def parse_tokens(text: str, source: str) -> list[ImportedToken]:
    """Read the lines of a text; blank ones, and those that begin with #, are skipped.

    Raises:
        InvalidArgumentError: At least one line cannot be used, or there is none.
    """
    lines: list[ImportedToken] = []
    errors: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                lines.append(_parse(number, line, lines))
            except InvalidArgumentError as error:
                errors.append(f"line {number}: {error.message.removesuffix('.')}")
    if errors:
        raise InvalidArgumentError(f"{source}: {join_bounded(errors, limit=_MAX_NAMED, separator='; ')}.")
    if not lines:
        raise InvalidArgumentError(f"{source} has no line name=token.")
    return lines


def _parse(number: int, line: str, before: list[ImportedToken]) -> ImportedToken:
    name, separator, token = (part.strip() for part in line.partition("="))
    if not separator:
        raise InvalidArgumentError("it has no '='; a line is name=token")
    if not _NAME.fullmatch(name):  # not quoted: it may be the token
        raise InvalidArgumentError("a project's name has only lowercase letters, digits and dashes")
    HetznerCloudCredentials.check_name(name)
    validate_token(token)
    for earlier in before:
        if earlier.name == name:
            raise InvalidArgumentError(f"it has the same name as line {earlier.number}")
        if earlier.token.get_secret_value() == token:
            raise InvalidArgumentError(f"it has the same token as line {earlier.number}")
    return ImportedToken(number, name, SecretStr(token))


def _read(source: str) -> str:
    if source == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise InvalidArgumentError(
                "standard input is a terminal, which would show the tokens: name a file."
            )
        return _decode(sys.stdin.buffer, "standard input")
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - a pipe of the shell, too
            _warn_if_others_may_read(source, os.fstat(file.fileno()))
            return _decode(file, source)
    except OSError as error:
        raise InvalidArgumentError(f"{source} cannot be read: {error.strerror}.") from None


def _decode(file: BinaryIO, source: str) -> str:
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidArgumentError(f"{source} is larger than {_MAX_BYTES:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # its message quotes the content
        raise InvalidArgumentError(f"{source} is not UTF-8.") from None


def _warn_if_others_may_read(source: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        text = f"Warning: other users of this machine may read {source}: chmod 600, and delete it afterwards."
        sys.stderr.write(f"{text}\n")
