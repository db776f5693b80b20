"""Takes the pictures of docs/PREFECT.md, the demo's runs and the forms of retention in Prefect's UI:
`python -m tests.demo.screenshots`. With `retention` as argument only the forms, which need no Kafka.

Needs `pip install playwright` and Chromium (`apt-get install chromium`); nothing else does.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import UUID

from playwright.sync_api import FloatRect, Page, sync_playwright

from tasks.store.local.local_store import LocalStore
from tests.demo import topics
from tests.demo.runs import Runs
from tests.demo.screen import say
from tests.support.installation import Installation, installed
from tests.support.kafka import KafkaCluster
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log
from tests.support.processes import temporary_folder

HOUR_MS = 3_600_000
FORMS_BEGIN_MS = 1_795_000_000_000
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


def main(arguments: Sequence[str]) -> None:
    """Run the demo's backup, validation and restore, and a retention, and look at them."""
    folder = temporary_folder("screenshots-")
    try:
        if "retention" in arguments:
            with installed(folder, ["127.0.0.1:9"]) as installation:
                _take_forms(installation)
            return
        with KafkaCluster() as kafka:
            topics.fill(kafka.bootstrap, kafka.log_dir())
            with installed(folder, kafka.bootstrap_servers) as installation:
                runs = Runs(installation)
                runs.show()
                _take(installation, runs.ids["snapshot-backup/nightly"])
                _take_forms(installation)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _browser_page() -> Iterator[Page]:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield browser.new_page(viewport={"width": 1280, "height": 720})
        browser.close()


def _take(installation: Installation, backup: UUID) -> None:
    with _browser_page() as page:
        page.goto(f"{installation.server.ui_url}/runs/flow-run/{backup}")
        page.get_by_text("Task runs").first.wait_for()
        page.wait_for_timeout(4_000)  # the page has no sign that its graph is drawn
        _save(page, "flow-run.png")
        [summary] = [one for one in installation.artifacts(backup) if one.type == "markdown"]
        page.goto(f"{installation.server.ui_url}/artifacts/artifact/{summary.id}")
        page.get_by_text("Restore it").wait_for()
        page.set_viewport_size({"width": 1280, "height": 1080})
        _save(page, "summary.png")


def _take_forms(installation: Installation) -> None:
    """The form of `retention/daily`, and the form of a run of it that waits for an approval."""
    steps = count()
    store = LocalStore(installation.repository, create=True)
    repository = replace(make_repository(store), now_ms=lambda: FORMS_BEGIN_MS + next(steps) * 5 * HOUR_MS)
    for _ in range(8):
        back_up(repository, [plain_log("orders", batches=40)])
    deployment = installation.client.read_deployment_by_name("retention/daily")
    run = installation.start("retention/daily", backup_id=SET, policy={"keep_last": 2, "keep_weekly": 1})
    installation.awaited(run, lambda one: one.state_name == "Suspended")
    with _browser_page() as page:
        page.goto(f"{installation.server.ui_url}/deployments/deployment/{deployment.id}/run")
        page.get_by_text("The id of a plan").first.scroll_into_view_if_needed()
        page.wait_for_timeout(1_000)  # the form fades in
        _save(page, "retention-form.png")
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.goto(f"{installation.server.ui_url}/runs/flow-run/{run}")
        page.get_by_role("button", name="Resume").click()
        page.get_by_text("Your name").first.wait_for()
        page.get_by_role("textbox").last.fill("Ada Lovelace")
        page.locator("input[type=checkbox]").last.dispatch_event("click")  # it has no size
        page.wait_for_timeout(1_000)  # the dialog opens slowly
        _save(page, "retention-approval.png", clip={"x": 384, "y": 16, "width": 512, "height": 968})
        page.get_by_role("button", name="Submit").click()
        ended = installation.ended(run)
        say(f"approved by the form: {ended.state_name}, {ended.state.message if ended.state else None}")


def _save(page: Page, name: str, clip: FloatRect | None = None) -> None:
    page.screenshot(path=IMAGES / name, clip=clip)
    say(f"docs/images/{name}: {(IMAGES / name).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
