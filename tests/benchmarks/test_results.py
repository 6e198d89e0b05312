"""Results in a file, and the pages that they are written into."""

from pathlib import Path

import pytest

from benchmarks.bench import median_of
from benchmarks.goals import Goal
from benchmarks.results import fill_page, read_results, remove_results, table, write_result, write_sections

PAGE = """# Page
<!-- measured --> long ago
<!-- figures: speed -->
old
<!-- end -->
"""


def test_figures_of_a_section_are_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.jsonl"
    remove_results(path, ["speed"])
    write_result(path, "speed", {"seconds": 1})
    write_result(path, "size", {"bytes": 2})
    remove_results(path, ["speed"])
    write_result(path, "speed", {"seconds": 3})
    assert read_results(path) == {"size": [{"bytes": 2}], "speed": [{"seconds": 3}]}


def test_a_page_is_filled_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for text in ("first", r"\1 and more"):
        fill_page(page, {"speed": text})
        assert f"<!-- figures: speed -->\n\n{text}\n\n<!-- end -->" in page.read_text()
    assert "long ago" not in page.read_text()
    with pytest.raises(SystemExit, match="0 places for the figures of 'size'"):
        fill_page(page, {"size": ""})


def test_a_section_without_figures_is_an_error() -> None:
    with pytest.raises(SystemExit, match="no figures of 'speed'"):
        write_sections({"speed": []}, {"speed": lambda figures: table(["seconds"], [[len(figures)]])})


def test_the_median_of_the_results_of_a_contender_is_taken() -> None:
    figures = [{"contender": name, "seconds": seconds} for name in ("a", "b") for seconds in (1, 5, 2)]
    assert median_of(figures, "seconds", contender="a") == 2
    with pytest.raises(LookupError):
        median_of(figures, "seconds", contender="c")


@pytest.mark.parametrize(
    ("measured", "most", "least"), [(1.9, True, False), (2.0, True, True), (2.1, False, True)]
)
def test_a_goal_is_met_up_to_its_bound(measured: float, most: object, least: object) -> None:
    assert Goal("at most", measured, 2.0).met is most
    assert Goal("at least", measured, 2.0, at_least=True).met is least
