"""The package: what it exports, and what it must not know."""

import inspect
import logging
import re
from pathlib import Path
from types import ModuleType

import pytest

import hetzner_cloud
from hetzner_cloud import (
    action_waiter,
    client,
    config,
    deletions,
    errors,
    models,
    prices,
    servers,
    throttle_log,
    unreadable_entries,
)

FOLDER = Path(hetzner_cloud.__file__).parent
SOURCES = sorted(FOLDER.glob("*.py"))


def name_of(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def public_classes(module: ModuleType) -> set[str]:
    return {
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_exported_name_is_there_and_named_once() -> None:
    assert [name for name in hetzner_cloud.__all__ if not hasattr(hetzner_cloud, name)] == []
    assert len(set(hetzner_cloud.__all__)) == len(hetzner_cloud.__all__)


def test_every_imported_name_is_exported() -> None:
    imported = {
        name
        for name, found in vars(hetzner_cloud).items()
        if not name.startswith("_") and not inspect.ismodule(found)
    }
    assert imported == set(hetzner_cloud.__all__) - {"__version__"}


@pytest.mark.parametrize(
    "module",
    [errors, client, config, action_waiter, deletions, prices, servers, unreadable_entries],
    ids=lambda module: module.__name__,
)
def test_every_public_class_is_exported_of(module: ModuleType) -> None:
    assert public_classes(module) <= set(hetzner_cloud.__all__)


def test_the_models_that_methods_return_are_exported_with_their_parts() -> None:
    pages = {"Meta", "Pagination"}
    assert public_classes(models) - pages <= set(hetzner_cloud.__all__)


def test_the_package_is_typed() -> None:
    assert (FOLDER / "py.typed").exists()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_module_names_nothing_of_the_layers_above(path: Path) -> None:
    above = r"prefect|\bblocks?\b|flow.run|task.run|artifact|deployment|snapshot.protection"
    assert re.findall(above, path.read_text(), re.IGNORECASE) == []


@pytest.mark.parametrize("module", [action_waiter, client, throttle_log], ids=name_of)
def test_a_module_logs_under_its_own_name(module: ModuleType) -> None:
    package = logging.getLogger("hetzner_cloud")
    assert vars(module)["LOGGER"] is logging.getLogger(module.__name__)
    assert vars(module)["LOGGER"].parent is package
