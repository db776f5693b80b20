"""The demo opens the page of its drill where somebody can see it, and starts no browser elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.evidence import newest_page, open_page


def test_the_newest_page_is_that_of_the_newest_drill(tmp_path: Path) -> None:
    for name in ("20261129T100000000Z-ffffffff", "20261130T100000000Z-00000000"):
        (tmp_path / "reports" / "orders" / name).mkdir(parents=True)
        (tmp_path / "reports" / "orders" / name / "report.html").touch()

    assert "20261130T100000000Z-00000000" == newest_page(tmp_path).parent.name


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_a_browser_is_started_only_with_a_display(
    tmp_path: Path, environment: dict[str, str], platform: str, *, expected: bool
) -> None:
    opened: list[str] = []

    def open_url(url: str) -> bool:
        opened.append(url)
        return True

    is_open = open_page(tmp_path, environment, platform, open_url)

    assert (expected, [tmp_path.as_uri()] * expected) == (is_open, opened)
