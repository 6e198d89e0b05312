"""The file of `credentials import`: every line is validated, and no message has a token."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.credentials_file import parse_tokens, read_tokens
from hetzner_cloud.errors import InvalidArgumentError

SECRET = "S3cretS3cretS3cretS3cret"


def test_blank_lines_comments_and_blanks_around_are_skipped() -> None:
    text = f"\ufeff# all projects\n\n  prod = {SECRET}1  \r\n\t# staging\nstaging={SECRET}=2\r\n".lstrip(
        "\ufeff"
    )
    lines = parse_tokens(text, "tokens.txt")
    assert [(one.number, one.name) for one in lines] == [(3, "prod"), (5, "staging")]
    assert [one.token.get_secret_value() for one in lines] == [f"{SECRET}1", f"{SECRET}=2"]
    assert SECRET not in repr(lines)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (SECRET, "line 2: it has no '='; a line is name=token"),
        (f"{SECRET}=prod", "line 2: a project's name has only lowercase letters, digits and dashes"),
        (f"={SECRET}", "line 2: a project's name has only"),
        (f"a b={SECRET}", "line 2: a project's name has only"),
        (f"{'a' * 201}={SECRET}", "line 2: a project's name has only"),
        (f"environment={SECRET}", "line 2: The name 'environment' is reserved"),
        ("prod=", "line 2: The token is empty"),
        (f"prod={SECRET} # comment", "line 2: The token contains whitespace"),
        (f"prod={SECRET}\u00e9", "line 2: The token contains whitespace"),
        (f"prod={SECRET}\x00", "line 2: The token contains whitespace"),
        (f"first={SECRET}", "line 2: it has the same name as line 1"),
        (f"prod={SECRET}-first", "line 2: it has the same token as line 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_its_number_and_never_quoted(
    line: str, complaint: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_tokens(f"first={SECRET}-first\n{line}\nlast={SECRET}-last", "tokens.txt")
    assert str(caught.value).startswith(f"tokens.txt: {complaint}")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.args)


def test_all_lines_that_cannot_be_used_are_named_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_tokens("\n".join(["nothing", "prod=token", "prod=other", *["x"] * 40]), "tokens.txt")
    text = str(caught.value)
    assert text.startswith(
        "tokens.txt: line 1: it has no '='; a line is name=token; line 3: it has the same name"
    )
    assert text.endswith("and 22 more.")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no line name=token"),
        (b"# prod=token\n", "has no line name=token"),
        (b"prod=\xff" + SECRET.encode(), "is not UTF-8"),
        (b"#" * 1_000_001, "is larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_without_its_content(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "tokens.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=complaint) as caught:
        read_tokens(str(path))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_and_a_folder_are_errors_that_name_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"nope cannot be read: No such file"):
        read_tokens(str(tmp_path / "nope"))
    with pytest.raises(InvalidArgumentError, match="cannot be read: Is a directory"):
        read_tokens(str(tmp_path))


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o644, True)])
def test_a_file_that_others_may_read_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, *, warned: bool
) -> None:
    path = tmp_path / "tokens.txt"
    path.write_bytes(b"\xef\xbb\xbfprod=token")
    path.chmod(mode)
    assert [one.name for one in read_tokens(str(path))] == ["prod"]
    captured = capsys.readouterr()
    assert ("Warning: other users of this machine may read" in captured.err) is warned
    assert not captured.out


def stdin(content: bytes, *, is_terminal: bool) -> SimpleNamespace:
    return SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: is_terminal)


def test_standard_input_is_read_unless_it_is_a_terminal_which_would_show_the_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b"prod=token", is_terminal=False))
    assert [one.name for one in read_tokens("-")] == ["prod"]
    monkeypatch.setattr("sys.stdin", stdin(b"prod", is_terminal=False))
    with pytest.raises(InvalidArgumentError, match=r"^standard input: line 1: "):
        read_tokens("-")
    monkeypatch.setattr("sys.stdin", stdin(b"prod=token", is_terminal=True))
    with pytest.raises(InvalidArgumentError, match="standard input is a terminal"):
        read_tokens("-")
