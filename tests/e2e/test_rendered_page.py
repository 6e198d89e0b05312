"""What users write into descriptions, as a browser shows it on the UI's pages; where there is a chromium."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, artifacts_of, run

CHROMIUM = shutil.which("chromium") or ""
HOSTILE = [
    "<img src=x onerror=\"document.title='evil'\"><b>bold-evil</b>",
    "[click](https://evil.test/a) https://evil.test/b <a href='https://evil.test/c'>c</a>",
    "pipe | another | **strong-evil** `code`\n\n# heading-evil\n| a | b |",
    "bell\x07 escape\x1b[31m zero\u200bwidth right\u202eleft",
    "![picture](https://evil.test/p.png) <script>document.title='evil'</script>",
    "javascript:alert(1) <iframe src=https://evil.test></iframe>",
]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine"),
]


def rendered(url: str, folder: Path, *arguments: str) -> str:
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    command += ["--window-size=1500,1100", "--virtual-time-budget=15000", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout


async def artifact_pages(done: Run, server: PrefectServer) -> dict[str, str]:
    return {
        str(one.key): f"{server.ui_url}/artifacts/artifact/{one.id}"
        for one in await artifacts_of(done.record.id)
    }


async def test_descriptions_mean_nothing_to_a_browser(
    save_project: SaveProject, prefect_api: PrefectServer, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=len(HOSTILE), action_seconds=3_600)
    for image, description in zip(sandbox.images.values(), HOSTILE, strict=True):
        image["description"] = description
        image["labels"] = {description: description}
        image["created_from"] = {"id": 1, "name": description}
    save_project("hostile", sandbox)
    audited = await run(audit_snapshot_protection, projects=["hostile"])
    failed = await run(protect_snapshots, projects=["hostile"], timeout_seconds=0.1)
    pages = await artifact_pages(audited, prefect_api) | await artifact_pages(failed, prefect_api)

    for key, url in pages.items():
        page = rendered(url, tmp_path, "--dump-dom")
        (tmp_path / f"{key}.html").write_text(page)
        assert len(page) > 5_000, key
        assert "<title>evil" not in page
        for mark in ('src="x"', "<b>bold-evil", 'href="https://evil', "<iframe"):
            assert mark not in page, (key, mark)
        for mark in ("<strong>strong-evil", "heading-evil</h1>", 'src="https://evil', "\u202e", "\x1b"):
            assert mark not in page, (key, mark)
    table = rendered(pages["audited-snapshots-hostile"], tmp_path, "--dump-dom")
    assert "onerror" in table  # it is shown, as text
    rendered(pages["audited-snapshots-hostile"], tmp_path, f"--screenshot={tmp_path / 'table.png'}")
    assert (tmp_path / "table.png").stat().st_size > 10_000
