"""Takes the pictures of docs/PREFECT.md, the demo's runs in Prefect's UI: `python -m tests.demo.screenshots`.

Needs `pip install playwright` and Chromium (`apt-get install chromium`); nothing else does.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Page, sync_playwright

from tests.demo import topics
from tests.demo.runs import Runs
from tests.demo.screen import say
from tests.support.installation import Installation, installed
from tests.support.kafka import KafkaCluster
from tests.support.processes import temporary_folder

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    """Run the demo's backup, validation and restore, and look at them."""
    folder = temporary_folder("screenshots-")
    try:
        with KafkaCluster() as kafka:
            topics.fill(kafka.bootstrap, kafka.log_dir())
            with installed(folder, kafka.bootstrap_servers) as installation:
                runs = Runs(installation)
                runs.show()
                _take(installation, runs.ids["snapshot-backup/nightly"])
    finally:
        shutil.rmtree(folder)


def _take(installation: Installation, backup: UUID) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"{installation.server.ui_url}/runs/flow-run/{backup}")
        page.get_by_text("Task runs").first.wait_for()
        page.wait_for_timeout(4_000)  # the page has no sign that its graph is drawn
        _save(page, "flow-run.png")
        [summary] = [one for one in installation.artifacts(backup) if one.type == "markdown"]
        page.goto(f"{installation.server.ui_url}/artifacts/artifact/{summary.id}")
        page.get_by_text("Restore it").wait_for()
        page.set_viewport_size({"width": 1280, "height": 1080})
        _save(page, "summary.png")
        browser.close()


def _save(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    say(f"docs/images/{name}: {(IMAGES / name).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
