"""What counts as a proof for the schedule: a backup that was proven in the night, however short the RPO is."""

from __future__ import annotations

from collections.abc import Callable

from tests.service.place import Home
from tests.whole import whole

NIGHTLY = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
- Prove it: `tabsync drill --backup latest --keep-warm` (at 02:30)

### Before a production deployment

- A backup can be restored: `tabsync drill --backup latest` (within 1 day)
"""


@whole
def test_a_nights_proof_is_one_though_its_backup_is_older_than_the_rpo(home: Callable[..., Home]) -> None:
    """The real case is half an hour of an RPO of 15 minutes; here it is a second of a millisecond."""
    place = home(NIGHTLY)
    manual = place.directory / "manual.md"
    manual.write_text(manual.read_text().replace("(RPO)**: < 24 hours", "(RPO)**: < 1 ms"))
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    assert place.states()["drill-backup-latest-keep-warm"] == {"done": 1, "caught up": 0}
    assert place.rows("select exit from occurrence where item like 'drill%'") == [(0,)]
    place.at("2026-12-01 20:00")
    by_hand = place.run("drill", "--backup", "latest")
    assert (by_hand.code, "RPO MISSED" in by_hand.out) == (1, True)
    place.at("2026-12-02 13:00")  # the night's proof is too old by now; that one isn't, and the backup isn't either
    gate = place.json("schedule", "gate", "production deployment")
    assert [one["ok"] for one in gate["items"]] == [True], gate
