"""The published OpenAPI description, as JSON Schema, with what was announced since it was published."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

DESCRIPTION = Path(__file__).resolve().parents[3] / "shared" / "hetzner-images.openapi.json"


def read_description() -> Any:
    """Read it; `deprecated` gives way to `deprecation`."""
    description = json.loads(DESCRIPTION.read_text())
    image = description["components"]["schemas"]["image"]
    image["required"] = [name for name in image["required"] if name not in {"deprecated", "deleted"}]
    times = {name: {"type": "string"} for name in ("announced", "unavailable_after")}
    deprecation = {"type": "object", "properties": times, "required": list(times), "nullable": True}
    image["properties"]["deprecation"] = deprecation
    return as_json_schema(description)


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable`, JSON Schema has no such word."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") is True else schema


def bodies(schema: Any, components: Any) -> st.SearchStrategy[Any]:
    """All that a schema of the description allows, also with a key that is not documented yet."""
    if "$ref" in schema:
        return bodies(components[schema["$ref"].rpartition("/")[2]], components)
    if choices := schema.get("anyOf") or schema.get("allOf"):  # of the latter the description has one each
        return st.one_of([bodies(one, components) for one in choices])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "object":
        return _objects(schema, components)
    if schema.get("type") == "array":
        return st.lists(bodies(schema["items"], components), max_size=3)
    return _strings(schema) if schema.get("type") == "string" else _scalars(schema)


def _scalars(schema: Any) -> st.SearchStrategy[Any]:
    kinds: dict[str | None, st.SearchStrategy[Any]] = {
        "integer": st.integers(-(2**63), schema.get("maximum", 2**63 - 1)),
        "number": st.integers(0, 2**40) | st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
        None: st.none() | st.text(),
    }
    return kinds[schema.get("type")]


def _objects(schema: Any, components: Any) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        values = schema.get("additionalProperties", {"type": "string"})
        return st.dictionaries(st.text(), bodies(values, components), max_size=3)
    known = {name: bodies(value, components) for name, value in schema["properties"].items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: known[name] for name in required & set(known)},
        optional={name: known[name] for name in set(known) - required} | {"brand_new": st.text()},
    )


def _strings(schema: Any) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda time: f"{time.isoformat()}Z")
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text()
