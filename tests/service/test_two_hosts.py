"""A backup host that can't read its backups, and a host with the identity that proves them: two homes, one store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyrage

from tabsync.stores.keys import new_signing_key
from tests.service.place import Home

SCHEDULE = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full` (on backup-host)
- Prove it: `tabsync drill --backup latest` (at 02:30, on vault)

### Before a production deployment

- A backup can be restored: `tabsync drill --backup latest` (within 1 day)
"""
TAKE, DRILL = "backup-take-full", "drill-backup-latest"


def two(home: Callable[..., Home], directory: Path) -> tuple[Home, Home]:
    """The backup host, which has only the recipient, and the vault, which has the identity; each signs for itself."""
    secret = pyrage.x25519.Identity.generate()
    (directory / "identity").write_text(f"{secret}\n")
    public = [new_signing_key(directory / f"{name}.key") for name in ("backup-host", "vault")]
    hosts: list[Home] = []
    for name in ("backup-host", "vault"):
        more = [f"recipients = [{str(secret.to_public())!r}]", f"trusted_keys = {json.dumps(public)}"]
        more += [f"signing_key = {str(directory / f'{name}.key')!r}"]
        more += [f"identity = {str(directory / 'identity')!r}"] if name == "vault" else []
        place = home(SCHEDULE, name=name, conninfo=hosts[0].conninfo if hosts else "")
        place.write(SCHEDULE, more="\n".join([*more, "[service]", f'name = "{name}"']))
        toml = place.directory / "tabsync.toml"
        toml.write_text(toml.read_text().replace('store = "store"', f"store = {str(directory / 'store')!r}"))
        hosts.append(place)
    return hosts[0], hosts[1]


def last(place: Home, item: str) -> dict[str, str]:
    found: dict[str, str] = place.json("schedule", "show", item)["occurrences"][-1]
    return found


def at(moment: str, *places: Home) -> None:
    for place in places:
        place.at(moment)


def test_the_proof_of_another_host_counts(home: Callable[..., Home], directory: Path) -> None:
    backup_host, vault = two(home, directory)
    at("2026-12-01 12:00", backup_host, vault)
    assert backup_host.run("serve", "--once").err.endswith("1 run was due\n")
    assert last(backup_host, TAKE)["state"] == "done"
    assert (last(backup_host, DRILL)["state"], last(backup_host, DRILL)["why"]) == ("not on this host", "on vault")
    refused = backup_host.run("drill", "--backup", "latest")
    assert refused.code in (3, 4) and "identity" in refused.err, refused.err
    gate = backup_host.json("schedule", "gate", "production deployment")
    assert not gate["ok"]

    assert vault.run("serve", "--once").err.endswith("1 run was due\n")
    assert last(vault, DRILL)["state"] == "done", vault.run("schedule", "list").out
    assert last(vault, TAKE)["state"] == "not on this host"

    assert "a proof of another host was read" in backup_host.run("serve", "--once").err
    told = last(backup_host, DRILL)
    assert (told["state"], "PROVEN RESTORABLE" in told["why"]) == ("done", True), told
    assert backup_host.json("schedule", "gate", "production deployment")["ok"]
    assert "done" in backup_host.run("schedule", "list").out
    backup_host.run("serve", "--once")
    assert len(backup_host.rows("select 1 from evidence where kind = 'drill'")) == 1, "read once"


def test_a_proof_that_nobody_trusted_has_signed_is_none(home: Callable[..., Home], directory: Path) -> None:
    backup_host, vault = two(home, directory)
    at("2026-12-01 12:00", backup_host, vault)
    backup_host.run("serve", "--once")
    vault.run("serve", "--once")
    (proof,) = (directory / "store" / "proofs").iterdir()
    signed = json.loads(proof.read_text())
    text = json.loads(signed["proof"])
    forged = json.dumps(text | {"at": "2026-12-02T02:31:00+00:00"}, sort_keys=True)
    proof.chmod(0o600)
    bad: list[object] = [signed | {"proof": forged}, {"proof": signed["proof"]}, signed | {"signature": {}}, [], "x"]
    for content in bad:
        proof.write_text(json.dumps(content))
        backup_host.run("serve", "--once")
    renamed = proof.with_name(proof.name.replace(".json", "0.json"))
    renamed.write_text(json.dumps(signed))
    backup_host.run("serve", "--once")
    assert backup_host.rows("select 1 from evidence where kind = 'drill'") == []
    assert last(backup_host, DRILL)["state"] == "not on this host"
