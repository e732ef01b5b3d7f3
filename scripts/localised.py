"""Writes src/tabsync/symptoms/localised.json from the message catalogues of an installed PostgreSQL and libc.

Only those texts are taken that signs/*.toml names. Debian: apt-get install postgresql-15 libpq5 locales.
"""

from __future__ import annotations

import gettext
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tabsync.symptoms import table

HERE = Path(table.__file__).parent
CATALOGUES = Path("/usr/share/locale")
DOMAINS = {"server": "postgres-15", "libpq": "libpq5-15", "os": "libc"}
LANGUAGES = ("de", "es", "fr", "it", "ja", "ko", "pt_BR", "ru", "sv", "uk", "zh_CN")
CYRILLIC = ("ru", "uk")


def translations(catalogue: str, text: str) -> Iterator[str]:
    """What a text is in each language; of those in Cyrillic also the Latin letters that LC_CTYPE=C makes of it."""
    for language in LANGUAGES:
        path = CATALOGUES / language / "LC_MESSAGES" / f"{DOMAINS[catalogue]}.mo"
        if not path.exists():
            continue
        with path.open("rb") as file:
            known = gettext.GNUTranslations(file)
        found = next((told for one in _forms(text) if (told := known.gettext(one)) != one), "")
        if not found:
            continue
        yield " ".join(found.split())
        if language in CYRILLIC:
            argv, environment = ["iconv", "-f", "UTF-8", "-t", "ASCII//TRANSLIT"], os.environ | {"LC_ALL": "C"}
            latin = subprocess.run(argv, input=found.encode(), capture_output=True, check=True, env=environment).stdout
            yield " ".join(latin.decode().split())


def _forms(text: str) -> tuple[str, ...]:
    """A text as a catalogue may have it: those of libpq end their lines."""
    return text, f"{text}\n", f"\t{text}\n", f"{text}.\n"


def main() -> None:
    """Write the file."""
    found = {text: list(dict.fromkeys(translations(catalogue, text))) for catalogue, text in table.originals()}
    lines = [
        f" {json.dumps(text)}: {json.dumps(found[text], ensure_ascii=False)}" for text in sorted(found) if found[text]
    ]
    (HERE / "localised.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
