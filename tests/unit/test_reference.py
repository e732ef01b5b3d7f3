"""The reference: its pages are those of today's declarations, and say all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts import reference

from tabsync.kernel.procedure import Surface
from tabsync.manual.load import load
from tabsync.procedures import PROCEDURES, all_procedures, find, is_built
from tabsync.profiles.tabsync import PROFILE_MANUAL

ROOT = Path(__file__).parents[2]


def test_the_pages_are_fresh() -> None:
    old = reference.differences(reference.REFERENCE, reference.pages())
    assert not old, f"docs/reference is not what the procedures declare: {', '.join(old)}\nhint: make docs"


def test_a_page_says_everything_that_one_may_ask_of_a_procedure() -> None:
    for one in PROCEDURES:
        page = reference.page(one)
        assert reference._text(one.summary) in page
        for field in one.fields:
            assert field.positional or all(f"`{flag}`" in page for flag in field.flags)
            assert f"`{field.name}`" in page or Surface.API not in one.surfaces
            assert reference._text(field.asked.help) in page
            assert all(f"`{choice}`" in page for choice in field.choices)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("backup query", "| Recorded as a run | yes"),  # its command runs the plan, and none is declared
        ("backup list", "| Recorded as a run | no |"),
        ("backup list", "| Least role in the database | nothing: the database may be down |"),
        ("drill monthly", "It is neither shown nor recorded."),
        ("drill", "Usage: `tabsync drill [OPTIONS]`"),
        ("restore rows", "| Role of the operator | admin, in the console and through the API |"),
        ("restore compared-rows", "# restore compared-rows"),
        ("backup take", "| `KIND` | `kind` | `full`, `schema`, `data`, `tables`, `physical` | What"),
        ("restore new", "| `--from` | `backup` | text |"),
    ],
)
def test_what_a_page_says(words: str, said: str) -> None:
    one = find(words)
    assert one
    assert said in reference.page(one)


def test_writing_them_deletes_the_page_of_a_procedure_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "REFERENCE", tmp_path)
    (tmp_path / "backup-teleport.md").write_text("gone\n")
    assert reference.main() == 0
    assert not (tmp_path / "backup-teleport.md").exists()
    assert not reference.differences(tmp_path, reference.pages())
    assert f"{len(reference.pages())} pages, {len(reference.pages()) + 1} written or deleted" in capsys.readouterr().out


def test_the_list_has_each_procedure_once_below_its_chapter() -> None:
    listed = reference.pages()["README.md"]
    assert all(listed.count(f"]({reference.file_of(one)})") == 1 for one in PROCEDURES)
    assert listed.index("## Backups") < listed.index("(wal-status.md)") < listed.index("## The program itself")


def test_the_readme_names_each_command_and_none_that_is_not_built() -> None:
    """A word that stands alone belongs to the chapter of the command before it."""
    section = (ROOT / "README.md").read_text().split("## What exists today")[1].split("\n## ")[0]
    table, not_built = section.split("Not built yet: ")
    words, named = {one.words for one in all_procedures() if Surface.CLI in one.surfaces}, []
    for row in re.findall(r"^\| [^|]+ \| (`.*`) \|$", table, re.MULTILINE):
        chapter = ""
        for name in re.findall(r"`([^`]+)`", row):
            within = f"{chapter} {name}"
            named.append(within if within in words else name)
            chapter = named[-1].split()[0]
    assert sorted(named) == sorted(words)
    for one in re.findall(r"`([a-z]+ [a-z]+)`", not_built):
        assert one == "manual check" or one not in words, f"{one} is built"


def test_the_readme_knows_what_the_demos_manual_names_and_is_not_built() -> None:
    section = (ROOT / "README.md").read_text().split("Not built yet: ")[1].split("\n## ")[0]
    missing = {one.words[:2] for one in load(PROFILE_MANUAL).commands() if not is_built(one.words)}
    told = {"enum": "enums"}
    assert missing
    assert not [one for one in missing if told.get(one[0], f"`{' '.join(one)}`") not in section]
