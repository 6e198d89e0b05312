"""Only one place in this project sends a DELETE to the API, and only one task makes use of it."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.import_graph import ROOT, modules

SENDERS = {name: path for name, path in modules().items() if not name.startswith("sandbox")}


def methods_of_requests_in(source: str) -> Iterator[str]:
    """Yield how each request to the API is made: its first argument, as it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "ApiRequest":
            yield ast.unparse(node.args[0]) if node.args else "?"


def callers_of(name: str, source: str) -> int:
    """Count where a method or function is called or passed on, but not where it is defined."""
    nodes = list(ast.walk(ast.parse(source)))
    attributes = sum(isinstance(node, ast.Attribute) and node.attr == name for node in nodes)
    return attributes + sum(isinstance(node, ast.Name) and node.id == name for node in nodes)


def places(name: str) -> dict[str, int]:
    found = {module: callers_of(name, path.read_text()) for module, path in SENDERS.items()}
    return {module: count for module, count in found.items() if count}


def test_a_delete_is_sent_by_the_client_s_method_and_nothing_else() -> None:
    found = [
        (module, method)
        for module, path in SENDERS.items()
        for method in methods_of_requests_in(path.read_text())
    ]
    assert {method for _, method in found} == {"'GET'", "'POST'", "'DELETE'"}
    assert [module for module, method in found if method == "'DELETE'"] == ["hetzner_cloud.client"]


def test_the_client_s_method_is_called_by_its_task_and_nothing_else() -> None:
    """The playground deletes an image of its own sandbox, behind the client's back; pruning uses the task."""
    assert places("delete_image") == {"tasks.images": 1, "flows._prune_snapshot": 1, "playground.scenario": 1}
    assert "from tasks.images import delete_image" in (ROOT / "flows" / "_prune_snapshot.py").read_text()
    assert "prod.delete_image(" in (ROOT / "playground" / "scenario.py").read_text()


def test_http_requests_to_the_api_are_sent_by_the_transport_and_the_benchmarks_only() -> None:
    makers = {
        module
        for module, path in SENDERS.items()
        if any(callers_of(name, path.read_text()) for name in ("AsyncClient", "AsyncHTTPTransport"))
    }
    benchmarks = {name for name in makers if name.startswith("benchmarks.")}
    assert makers - benchmarks == {"hetzner_cloud.transport", "hetzner_cloud.proxies"}
    assert not [name for name in benchmarks if callers_of("delete", SENDERS[name].read_text())]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("client.delete_image(1)", 1),
        ("policy.call(client.delete_image)", 1),
        ("delete_image(credentials, 1)", 1),
        ("async def delete_image(): ...", 0),
        ("'delete_image'", 0),
    ],
)
def test_a_caller_is_found_however_it_calls(source: str, count: int) -> None:
    assert callers_of("delete_image", source) == count


@pytest.mark.parametrize(
    ("source", "method"),
    [
        ("ApiRequest('DELETE', path)", "'DELETE'"),
        ("requests.ApiRequest(method, path)", "method"),
        ("f(ApiRequest(method=m, path=path))", "?"),
    ],
)
def test_a_method_is_found_however_it_is_written(source: str, method: str) -> None:
    assert [*methods_of_requests_in(source)] == [method]
