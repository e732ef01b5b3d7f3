"""What is moved for a page: compressed, and what stays the same only once."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Response as Loaded
from starlette.datastructures import Headers

from tabsync.console.base import assets, complete
from tabsync.console.base.assets import takes_gzip, url_of
from tests.console.conftest import Pages, Site, enter


def wire(site: Site, path: str, headers: dict[str, str]) -> httpx.Response:
    with httpx.Client(base_url=site.running.url, trust_env=False) as client:
        return client.get(path, headers=headers)


@pytest.mark.parametrize("name", ["console.css", "vendor/pico.min.css", "vendor/uplot.min.js", "icon.svg"])
def test_a_file_is_named_by_its_content_and_kept_for_ever(site: Site, name: str) -> None:
    answer = wire(site, url_of(name), {"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == (complete.STATIC / name).read_bytes()
    packed = int(answer.headers["content-length"])
    assert packed < len(answer.content) and answer.headers["content-encoding"] == "gzip"
    plain = wire(site, url_of(name), {"accept-encoding": "identity"})
    assert plain.content == answer.content and "content-encoding" not in plain.headers


def test_another_content_has_another_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    path = tmp_path / "console.css"
    path.write_text("body {}")
    first = assets._asset(path)
    path.write_text("body { }")
    assert first.url != assets._asset(path).url
    assert gzip.decompress(first.packed) == b"body {}"


def test_what_has_no_hash_or_a_wrong_one_is_not_there(site: Site) -> None:
    for path in ("/static/console.css", "/static/0123456789abcdef/console.css", "/static/vendor/.ready", "/static/"):
        answer = wire(site, path, {})
        assert answer.status_code == 404, path
        assert answer.headers["cache-control"] == "no-store"  # or it would be missing for a year


def test_pages_are_compressed_but_not_for_another_site(site: Site) -> None:
    for asked, packed in (
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),  # another port of this machine
        ({"accept-encoding": "gzip;q=0"}, False),
    ):
        answer = wire(site, "/login", {"accept-encoding": "gzip, br"} | asked)
        assert (answer.headers.get("content-encoding") == "gzip") is packed, asked
        assert answer.headers["cache-control"] == "no-store"
        assert answer.text.rstrip().endswith("</html>")


def test_who_takes_gzip() -> None:
    told = {"gzip": True, "br, gzip;q=0.5": True, "*": True, "": False, "identity": False, "br": False}
    told |= {"gzip;q=0": False, "GZIP ; q=0.000": False, "notgzip": False}
    assert {one: takes_gzip(Headers({"accept-encoding": one})) for one in told} == told


def test_what_is_moved_for_a_login_and_for_the_page_after_it(site: Site, pages: Pages) -> None:
    """It was 147 kB for a login of 1 kB, each time."""
    page = pages().page
    moved: list[int] = []
    asked: list[str] = []

    def note(answer: Loaded) -> None:
        asked.append(answer.url)
        moved.append(answer.request.sizes()["responseBodySize"] if not answer.from_service_worker else 0)

    page.on("response", note)
    page.goto(site.url("/login"), wait_until="networkidle")
    assert sum(moved) < 20_000, dict(zip(asked, moved, strict=True))
    enter(site, page)
    page.goto(site.url("/"), wait_until="networkidle")
    moved.clear()
    asked.clear()
    page.goto(site.url("/audit"), wait_until="networkidle")
    fetched = page.evaluate("performance.getEntriesByType('resource').map((one) => [one.name, one.transferSize])")
    assert fetched and [name for name, size in fetched if size > 0 and "/static/" in name] == []


def test_every_reference_of_every_page_exists() -> None:
    text = "".join(one.read_text() for one in (complete.STATIC.parent / "templates").glob("*.html"))
    names = set(re.findall(r"asset\('([^']+)'\)", text))
    assert len(names) >= 7 and all(url_of(name) for name in names)
    assert '"/static/' not in text
