"""Imports run down the order of the packages, never back or in a circle; names say what a file is about."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.import_graph import (
    LAYERS,
    OUTSIDE,
    PACKAGES,
    ROOT,
    Import,
    find_cycle,
    imports,
    imports_in,
    modules,
    modules_in,
    package_imports,
)

WHOLE_PACKAGE = {  # tests of what no module does alone
    "hetzner_cloud": {"public_names"},
    "sandbox": {"independence", "official_client", "openapi"},
    "tasks": {"endpoint_tasks"},
    "cli": {"help"},
}
WHOLE_PROJECT = {
    "containers",
    "architecture_page",
    "ci",
    "deleting_requests",
    "documents",
    "layers",
    "lock",
    "packaging",
    "reference_pages",
    "reported_names",
    "systemd_units",
    "troubleshooting",
    "version",
    "vocabulary",
}
LEVELS = {package: level for level, layer in enumerate(reversed(LAYERS)) for package in layer}
MAY_IMPORT_THE_SANDBOX = {"cli", "playground", "benchmarks"}
WITHOUT_PREFECT = ("hetzner_cloud", "snapshot_protection")
SAYS_NOTHING = re.compile(
    r"^_*((.*_)?(managers?|handlers?|helpers?|services?|utils?|common)(_.*)?|texts?|names?|runs?)$"
)
SAYS_SOMETHING = {"sandbox.handlers"}  # of requests, as web frameworks call them
TEST_MODULES = modules_in("tests")


def files_of(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*")) if path.is_file() and path.suffix != ".pyc"]


def is_allowed(one: Import) -> bool:
    source, target = one.packages
    if source == target or one.is_handover:
        return True
    if target == "sandbox":
        return source in MAY_IMPORT_THE_SANDBOX
    if target not in PACKAGES:
        return target != "tests" and not (target == "prefect" and source in WITHOUT_PREFECT)
    if source in OUTSIDE or target in OUTSIDE:
        return source == "benchmarks"
    return LEVELS[source] > LEVELS[target]


def test_a_module_imports_only_its_own_package_and_those_below() -> None:
    assert not [str(one) for one in imports() if not is_allowed(one)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert find_cycle(imports()) == []


def test_every_package_has_its_place_in_the_order() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("flows.a", "from tasks.images import list_images", True),
        ("flows.a", "from cli import commands", False),
        ("flows.a", "def run():\n    from cli import commands", False),
        ("flows.a", "if __name__ == '__main__':\n    from cli import commands", True),
        ("blocks.a", "if __name__ == '__main__':\n    from cli import commands", False),
        ("flows.a", "if __name__ == '__main__':\n    import playground.demo", False),
        ("flows.a", "import sandbox", False),
        ("tasks.a", "if TYPE_CHECKING:\n    from flows.protect_snapshots import protect_snapshots", False),
        ("tasks.a", "import tests.support.flow_runs", False),
        ("deploy.a", "from playground import server", False),
        ("playground.a", "from sandbox import Sandbox", True),
        ("hetzner_cloud.a", "from hetzner_cloud.errors import ApiError", True),
        ("hetzner_cloud.a", "try:\n    import prefect.states\nfinally: ...", False),
        ("sandbox.a", "from hetzner_cloud.label_selector import LabelSelector", False),
        ("sandbox.a", "import benchmarks.bench", False),
        ("benchmarks.a", "from flows.protect_snapshots import protect_snapshots", True),
        ("cli.a", "import benchmarks.bench", False),
    ],
)
def test_an_import_is_judged_wherever_it_is_written(module: str, source: str, *, allowed: bool) -> None:
    [one] = imports_in(module, source, modules())
    assert is_allowed(one) is allowed


def test_a_circle_is_found_over_several_modules_and_packages() -> None:
    links = [("tasks.a", "tasks.b"), ("tasks.b", "blocks.c"), ("blocks.c", "tasks.a"), ("flows.d", "tasks.a")]
    found = [Import(*link) for link in links]
    assert set(find_cycle(found)) == {"tasks.a", "tasks.b", "blocks.c"}
    assert find_cycle([one for one in found if one.source != "blocks.c"]) == []
    assert package_imports(found) == {("tasks", "blocks"), ("blocks", "tasks"), ("flows", "tasks")}


@pytest.mark.parametrize(
    "path",
    [path for package in WITHOUT_PREFECT for path in files_of(package)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_client_and_the_rules_do_not_name_prefect(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert not [f"{number}: {line}" for number, line in enumerate(lines, 1) if "prefect" in line.lower()]


def test_a_module_s_name_says_what_it_is_about() -> None:
    every = [*modules(), *TEST_MODULES]
    assert not [
        module
        for module in every
        if module not in SAYS_SOMETHING and SAYS_NOTHING.match(module.rpartition(".")[2])
    ]


@pytest.mark.parametrize(
    "name", ["utils", "_helpers", "block_manager", "service", "text", "names", "runs", "handlers"]
)
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    assert SAYS_NOTHING.match(name)


@pytest.mark.parametrize("name", ["task_run_names", "interrupted_runs", "error_info", "__init__", "context"])
def test_a_name_that_says_something_is_accepted(name: str) -> None:
    assert not SAYS_NOTHING.match(name)


def test_no_module_is_named_like_another_package() -> None:
    """But the commands: each has the name of what it starts."""
    names = {*PACKAGES, "prefect"}
    parts = [module.split(".") for module in modules() if "." in module]
    assert not [".".join(each) for each in parts if each[0] != "cli" and each[-1] in names - {each[0]}]


def test_every_file_of_flows_that_is_no_deployable_flow_has_a_leading_underscore() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    deployable = {each["entrypoint"].rpartition(".")[0] for each in deployments}
    public = {module for module in modules_in("flows") if not module.startswith("flows._")} - {"flows"}
    assert public == deployable


def test_no_test_file_is_imported_by_another() -> None:
    found = [
        one
        for module, path in TEST_MODULES.items()
        for one in imports_in(module, path.read_text(), TEST_MODULES)
    ]
    assert len(found) > len(TEST_MODULES)
    assert not [str(one) for one in found if re.search(r"^tests\.(.*\.)?(test_\w+|conftest)$", one.target)]


def test_a_test_file_has_the_name_of_the_module_that_it_tests_or_of_its_package() -> None:
    strays = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/test_*.py")
        if path.stem.removeprefix("test_") not in WHOLE_PROJECT
    ]
    for package in PACKAGES:
        subjects = {module.rpartition(".")[2].lstrip("_") for module in modules_in(package)}
        subjects |= WHOLE_PACKAGE.get(package, set())
        for path in (ROOT / "tests" / package).rglob("test_*.py"):
            subject = path.stem.removeprefix("test_")
            if subject not in subjects and not subject.startswith(package):
                strays.append(str(path.relative_to(ROOT)))
    assert strays == []


def test_what_tests_share_has_no_name_of_a_source_module() -> None:
    shared = {module.rpartition(".")[2] for module in modules_in("tests/support")} - {"support"}
    assert shared
    assert not shared & {module.rpartition(".")[2] for module in modules()}
