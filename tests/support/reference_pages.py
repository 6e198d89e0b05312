"""Writes parts of docs/reference and docs/sandbox.md: `python -m tests.support.reference_pages`."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from docstring_parser import Docstring, DocstringStyle, parse
from prefect import Flow, Task
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import hetzner_cloud
from blocks.credentials import HetznerCloudCredentials
from cli.app import app
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_on_workers import protect_on_workers
from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from hetzner_cloud.settings import Settings
from sandbox.settings import SandboxSettings
from tasks import image_actions, images, prices, servers, waiting
from tests.support.generated_parts import GeneratedPart, table

WRITER = "tests.support.reference_pages"
FLOWS: tuple[Flow[Any, Any], ...] = (
    protect_snapshots,
    audit_snapshot_protection,
    unprotect_snapshots,
    prune_snapshots,
    protect_on_workers,
)
TASK_MODULES = (images, image_actions, servers, prices, waiting)
_BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "minItems": "{} or more",
}


def parameters() -> str:
    """Write a section for each flow: what it does, and its parameters as its schema has them."""
    return "\n\n".join(_flow_section(flow) for flow in FLOWS)


def _flow_section(flow: Flow[Any, Any]) -> str:
    schema = flow.parameters.model_dump()
    rows = (
        (
            f"`{name}`",
            _type_of(described),
            "required" if name in schema["required"] else f"`{described['default']!r}`".replace("'", '"'),
            described.get("description", ""),
        )
        for name, described in schema["properties"].items()
    )
    columns = ("parameter", "type", "default", "meaning")
    return f"## {flow.name}\n\n{_prose(_docstring(flow.fn))}\n\n{table(columns, rows)}"


def _type_of(described: Mapping[str, Any]) -> str:
    kind = described["type"]
    name = f"list of {described['items']['type']}s" if kind == "array" else kind
    bounds = [text.format(described[key]) for key, text in _BOUNDS.items() if key in described]
    return ", ".join([name, *bounds])


def errors() -> str:
    """Write the tree of the client's errors, each with its module, its docstring and its attributes."""
    return "\n".join(_error_lines(hetzner_cloud.HetznerCloudError, 0))


def _error_lines(error: type[Exception], depth: int) -> Iterator[str]:
    docstring = _docstring(error)
    yield f"{'  ' * depth}- `{error.__name__}`: {' '.join(_prose(docstring).split())}"
    for attribute in docstring.params:
        yield f"{'  ' * depth}  - `.{attribute.arg_name}`: {_flat(attribute.description)}"
    for child in _public(error.__subclasses__()):
        yield from _error_lines(child, depth + 1)


def _public(errors: list[type[Exception]]) -> list[type[Exception]]:
    found = [error for error in errors if error.__name__ in hetzner_cloud.__all__]
    return sorted(found, key=lambda error: (error.__module__, inspect.getsourcelines(error)[1]))


def settings() -> str:
    """Write a table of the environment variables of the API client."""
    described = {one.arg_name: _flat(one.description) for one in _docstring(Settings).params}
    rows = (
        (f"`HETZNER_CLOUD_{name.upper()}`", f"{field.default:g}", described[name])
        for name, field in Settings.model_fields.items()
    )
    return table(("variable", "default", "meaning"), rows)


def credentials() -> str:
    """Write a table of the fields of the credentials block."""
    return table(("field", "default", "meaning"), _field_rows(HetznerCloudCredentials, "`{}`"))


def sandbox() -> str:
    """Write a table of what a sandbox is made of."""
    rows = ((name.replace("_", "-"), default, text) for name, default, text in _field_rows(SandboxSettings))
    return table(("option", "default", "meaning"), ((f"`--{name}`", *rest) for name, *rest in rows))


def _field_rows(model: type[BaseModel], name: str = "{}") -> Iterator[tuple[str, str, str]]:
    for field_name, field in model.model_fields.items():
        if field.description:
            yield name.format(field_name), _default(field), field.description


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    is_none = field.default is None or field.default is False or field.default == ""
    return (
        ""
        if is_none
        else f"`{field.default:g}`"
        if isinstance(field.default, float)
        else f"`{field.default}`"
    )


def tasks() -> str:
    """Write a section for each task: what it does, its signature, and what its docstring says beyond it."""
    return "\n\n".join(_task_section(task) for module in TASK_MODULES for task in tasks_of(module))


def tasks_of(module: Any) -> list[Task[Any, Any]]:
    """Return the tasks that a module defines, in its order."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, Task) and item.fn.__module__ == module.__name__
    ]


def _task_section(task: Task[Any, Any]) -> str:
    docstring, name = _docstring(task.fn), task.fn.__name__
    lines = [f"## {name}", "", _prose(docstring), ""]
    lines += ["```python", f"from {task.fn.__module__} import {name}", ""]
    lines += [f"await {name}{_signature(task.fn)}", "```", ""]
    lines += [f"- `{one.arg_name}`: {_flat(one.description)}" for one in docstring.params]
    lines += [f"- returns {_returns(task.fn)}"]
    lines += [f"- raises `{one.type_name}`: {_flat(one.description)}" for one in docstring.raises]
    return "\n".join(lines)


def _signature(function: Callable[..., Any]) -> str:
    found = inspect.signature(function).parameters.values()
    return str(inspect.Signature([one.replace(annotation=one.empty) for one in found]))


def _returns(function: Callable[..., Any]) -> str:
    kind = re.search(r"\) -> (.+?):\n", inspect.getsource(function), re.DOTALL)
    found = re.search(r"Returns:\n(.+?)(?:\n\n|\Z)", inspect.getdoc(function) or "", re.DOTALL)
    more = f": {_flat(found[1])}" if found else ""
    return f"`{kind[1] if kind else ''}`{more}"


def command() -> str:
    """Write a section for each subcommand, as cyclopts documents it.

    Without the module that writes it, which cyclopts puts into the usage, and without defaults and
    negations, which the application hides in its help but not in its document.
    """
    document = app.generate_docs(output_format="markdown")
    _, mark, sections = document.partition("\n## hetzner-snapshots ")
    text = re.sub(r"^(hetzner-snapshots .*?) -m \S+", r"\1", mark + sections, flags=re.MULTILINE)
    text = re.sub(r", --(?:no|empty)-[\w-]+", "", text)
    return re.sub(r" \*\[default: .*?\]\*", "", text).strip()


def _docstring(of: Any) -> Docstring:
    return parse(inspect.getdoc(of) or "", style=DocstringStyle.GOOGLE)


def _prose(docstring: Docstring) -> str:
    return "\n\n".join(filter(None, [docstring.short_description, docstring.long_description]))


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


PARTS: Mapping[GeneratedPart, Callable[[], str]] = {
    GeneratedPart(f"docs/{page}.md", render.__name__, WRITER): render
    for page, render in (
        ("reference/parameters", parameters),
        ("reference/errors", errors),
        ("reference/settings", settings),
        ("reference/settings", credentials),
        ("reference/tasks", tasks),
        ("reference/command", command),
        ("sandbox", sandbox),
    )
}


def main() -> None:
    """Write every part from scratch."""
    for part, render in PARTS.items():
        part.write(render())


if __name__ == "__main__":
    main()
