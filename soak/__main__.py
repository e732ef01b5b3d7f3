"""make soak PARTS="databases ...": long runs, resumed where they were; they write docs/soak.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from soak import (
    audit,
    databases,
    gamedays,
    guard,
    histories,
    incidents,
    migrations,
    nights,
    noise,
    notify,
    orders,
    page,
    pairs,
    runbooks,
    service,
    tests,
    users,
)
from soak.part import Part, Say, begun

_ROOT = Path(__file__).parents[1]

PARTS: Mapping[str, Callable[[Part, Say], None]] = {
    "databases": databases.run,
    "histories": histories.run,
    "tests": tests.run,
    "service": service.run,
    "nights": nights.run,
    "days_off": nights.days_off,
    "noise": noise.run,
    "notify": notify.run,
    "runbooks": runbooks.run,
    "pairs": pairs.run,
    "gamedays": gamedays.run,
    "users": users.run,
    "audit": audit.run,
    "migrations": migrations.run,
    "guard": guard.run,
    "orders": orders.run,
    "incidents": incidents.run,
}
"""Add a part: a module of this package with run(part, say), and its line here."""


def main() -> None:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; without one: all")
    parser.add_argument("--seed", type=int, help="of what is drawn; without one, the interrupted run's, or 1")
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    given = parser.parse_args()
    if unknown := [name for name in given.parts if name not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    for name in given.parts or PARTS:
        part = begun(name, _ROOT / ".tabsync" / "soak", given.seed, fresh=given.fresh)
        say(f"{name}: seed {part.seed}, {len(part.done)} done before")
        try:
            PARTS[name](part, say)
        finally:
            page.write(_ROOT / "docs" / "soak.md", part)
        part.state.unlink(missing_ok=True)


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
