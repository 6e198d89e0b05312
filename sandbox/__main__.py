"""The sandbox as a command."""

import argparse
import contextlib
import signal
import threading
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from sandbox import Fault, Sandbox, SandboxSettings, serve
from sandbox import faults as fault_kinds

_METAVARS = {"seconds": "S", "second": "R", "token": "TOKEN", "project": "NAME"}  # by a name's last word
_FAULT_NAMES = [name for name in Fault.model_fields if name not in {"kind", "details"}]


def main(arguments: Sequence[str] | None = None, *, program: str = "python -m sandbox") -> None:
    """Serve one sandbox until Ctrl-C or SIGTERM; `program` is what its help calls it."""
    parser = _parser(program)
    options = vars(parser.parse_args(arguments))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _serve(parser, options)


def _serve(parser: argparse.ArgumentParser, options: dict[str, Any]) -> None:
    host, port, faults = options.pop("host"), options.pop("port"), options.pop("fault")
    try:
        sandbox = Sandbox(**options)
        sandbox.faults.add(*faults)
        with serve(sandbox, host=host, port=port):
            print(_first_line(sandbox), flush=True)  # noqa: T201 - the command's output
            threading.Event().wait()
    except ValidationError as error:
        parser.error(_describe_errors(error))
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _first_line(sandbox: Sandbox) -> str:
    snapshots = sum(image["type"] == "snapshot" for image in sandbox.images.values())
    return f"Sandbox at {sandbox.endpoint}, token {sandbox.token}, {snapshots} snapshots"


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="A fake server of the image part of the Hetzner Cloud API, for one project, on loopback.",
        epilog=f"Examples:\n  {program} --port 8787 --snapshots 40 --protected 10\n\n{fault_kinds.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default: %(default)s)")
    for name, field in SandboxSettings.model_fields.items():
        _add_option(parser, name, field)
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        type=_fault,
        metavar="'KIND NAME=VALUE …'",
        help=f"what goes wrong, see below; repeats. Names: {', '.join(_FAULT_NAMES)}",
    )
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    flag, text = f"--{name.replace('_', '-')}", field.description or ""
    if field.annotation is bool:
        parser.add_argument(flag, action="store_true", help=text)
        return
    shown = "" if field.default in {None, ""} else f" (default: {field.default})"
    metavar = _METAVARS.get(name.rpartition("_")[2], "N")
    parser.add_argument(flag, default=field.default, metavar=metavar, help=text + shown)


def _fault(spec: str) -> Fault:
    try:
        return Fault.parse(spec)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(_describe_errors(error)) from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _describe_errors(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, detail['loc'][:1]))}: {detail['msg']}" for detail in error.errors())


if __name__ == "__main__":
    main()
