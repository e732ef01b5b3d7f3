"""audit export, and audit verify --file: what a file proves, by itself and with the ledger, and what is found in it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tabsync.audit.database.log import SEALS
from tabsync.audit.keeping.erase import Erase, plan_erase
from tabsync.audit.reading.export import Export, plan_export
from tabsync.audit.seals.chain import head_of
from tabsync.audit.seals.encoding import hash_of, read_json
from tabsync.audit.seals.seal import plan_seal
from tabsync.audit.seals.verify import Verify, plan_verify, show_verify
from tabsync.audit.seals.verify_file import seal_of
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import blocks_to_json
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.postgres.embedded import Server
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace
from tests.postgres.restore.audited import do

_GONE = "22222222-2222-4222-8222-222222222222"
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('aéz"\\\n\x07\U0001f355', max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    found = workspaces(audited_database())
    do(
        found.conninfo,
        f"insert into users (id, email, full_name, role) values ('{_GONE}', 'u@example.com', 'Uwe', 'WAITER')",
    )
    do(found.conninfo, "update menu_items set price_cents = price_cents + 1")
    done(found, plan_seal(found, Nothing()))
    do(found.conninfo, f"delete from users where id = '{_GONE}'")
    done(found, plan_seal(found, Nothing()))
    return found


def done(workspace: Workspace, plan: Plan | Planned[Workspace]) -> Facts:
    made = plan.plan if isinstance(plan, Planned) else plan
    outcome = run(made, workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    return outcome.results


def exported(workspace: Workspace, path: Path, *times: str) -> Facts:
    found: Facts = done(workspace, plan_export(workspace, Export(path, *times)))["export"]
    return found


def verified(workspace: Workspace, path: Path) -> tuple[Facts, str]:
    """The facts, and what a person reads."""
    request = Verify(file=path)
    plan = plan_verify(workspace, request)
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    page = show_verify(Done(workspace, request, Planned(plan), outcome))
    return outcome.results["verify_file"], json.dumps(blocks_to_json(page))


def test_a_file_proves_itself_where_nobody_has_the_database(workspace: Workspace, directory: Path) -> None:
    do(workspace.conninfo, "update restaurants set accepts_orders = false")
    path = directory / "log.jsonl"
    facts = exported(workspace, path, "1 hour ago")
    assert path.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
    found, told = verified(workspace, path)
    assert (found["wrong"], found["entries"], found["seals"]) == ("", facts["entries"], facts["seals"])
    assert found["proven"] == facts["entries"] - facts["unsealed"] - facts["before"] > 0
    assert found["unsealed"] == facts["unsealed"] > 0
    assert found["exported_at"]
    assert found["noted"] >= 2
    assert "THE ENTRIES ARE AS THEY WERE SEALED" in told
    far = directory / "far"
    far.mkdir()
    auditor = Workspace(far, "host=/nowhere", far / "store", PROFILE_MANUAL, f"sqlite:///{far / 'ledger.sqlite'}")
    elsewhere, told = verified(auditor, path)
    assert (elsewhere["wrong"], elsewhere["proven"]) == ("", found["proven"])
    assert "no head of its seals is noted" in told
    assert "that no entry was taken out is not proven" in told
    with pytest.raises(BadUsage, match="exists"):
        plan_export(workspace, Export(path))
    nothing = directory / "none.jsonl"
    assert exported(workspace, nothing, "1 minute ago", "50 s ago")["entries"] == 0
    assert "NOTHING IN THE FILE IS PROVEN" in verified(workspace, nothing)[1]


@pytest.mark.parametrize(
    ("forged", "told"),
    [
        (lambda one: one | {"key": "another"}, "was changed"),
        (lambda one: one | {"at": "1999" + one["at"][4:]}, "was changed"),
        (lambda one: one | {"actor": ""}, "was changed"),
        (lambda one: one | {"old": None}, "was changed"),
        (lambda one: one | {"new": {**(one.get("new") or {}), "price_cents": 1.0}}, "was changed"),
        (lambda one: one | {"hash": "00" * 16}, "was changed"),
        (lambda one: {"id": 1}, "can't be read"),
        (lambda one: one | {"at": "yesterday"}, "can't be read"),
    ],
)
def test_a_forged_entry_is_named(
    workspace: Workspace, directory: Path, forged: Callable[[Facts], Facts], told: str
) -> None:
    lines = lines_of(workspace, directory)
    at = next(number for number, one in enumerate(lines) if one.get("entry", {}).get("action") == "UPDATE")
    lines[at] = {"entry": forged(lines[at]["entry"])}
    assert told in verified(workspace, written(directory, lines))[0]["wrong"]


def test_what_was_forged_with_its_hash_is_found_by_the_seals(workspace: Workspace, directory: Path) -> None:
    lines = lines_of(workspace, directory)
    at = next(number for number, one in enumerate(lines) if one.get("entry", {}).get("action") == "DELETE")
    entry = lines[at]["entry"] | {"actor": "somebody else"}
    lines[at] = {"entry": entry | {"hash": hash_of(read_json(json.dumps(entry)))}}
    assert "is not what was sealed" in verified(workspace, written(directory, lines))[0]["wrong"]


def test_a_chain_that_is_not_the_noted_one_is_found(workspace: Workspace, directory: Path) -> None:
    def wrong(change: Callable[[list[Facts]], object]) -> str:
        lines = lines_of(workspace, directory)
        change([one["seal"] for one in lines if "seal" in one])
        return str(verified(workspace, written(directory, lines))[0]["wrong"])

    def other_hashes(seals: list[Facts]) -> None:
        hashes = b64decode(seals[0]["hashes"])
        hashes = hashes[:-1] + bytes([hashes[-1] ^ 1])
        seals[0]["hashes"] = b64encode(hashes).decode()
        seals[0]["hashes_sha256"] = hashlib.sha256(hashes).hexdigest()

    def anew(seals: list[Facts]) -> None:
        previous = seals[0]["previous"]
        for one in seals:
            one |= {"sealed_at": "2020-01-01T00:00:00.000000Z", "previous": previous}
            seal, digest = seal_of(one)
            one["head"] = previous = head_of(seal, digest).hex()

    assert "was changed" in wrong(other_hashes)
    assert "was changed" in wrong(lambda seals: seals[0].update(sealed_at="2020-01-01T00:00:00.000000Z"))
    assert "doesn't follow" in wrong(lambda seals: seals[1].update(n=7))
    assert "doesn't follow" in wrong(lambda seals: seals[1].update(previous="00" * 32))
    assert "is another one than was noted" in wrong(anew)


def test_what_is_taken_out_leaves_what_it_proved_unknown(workspace: Workspace, directory: Path) -> None:
    lines = lines_of(workspace, directory)
    first = next(number for number, one in enumerate(lines) if "seal" in one)
    found, told = verified(workspace, written(directory, lines[:first] + lines[first + 1 :]))
    assert found["unsealed"] > 0
    assert not found["exported_at"]
    assert "that no entry was taken out is not proven" in told


def test_an_entry_that_was_masked_on_purpose_is_no_forgery(workspace: Workspace, directory: Path) -> None:
    done(workspace, plan_erase(workspace, Erase(_GONE, "request")))
    done(workspace, plan_seal(workspace, Nothing()))
    found, told = verified(workspace, written(directory, lines_of(workspace, directory)))
    assert (found["wrong"], found["masked"]) == ("", 2)
    assert "masked on purpose" in told


def test_what_is_no_export_is_refused(workspace: Workspace, directory: Path) -> None:
    for content, told in (
        ("", "is no file of"),
        ("[]\n", "is no file of"),
        ('{"kind": "audit export", "version": 1}', "1"),
    ):
        path = directory / "odd"
        path.write_text(content)
        with pytest.raises(Refused, match=told):
            verified(workspace, path)
    with pytest.raises(BadUsage, match="is no file"):
        plan_verify(workspace, Verify(file=directory / "absent"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_entry_is_hashed_as_the_server_hashes_it(data: st.DataObject, server: Server) -> None:
    """Property: whatever an entry holds, Python's hash of the exported text is that of the server."""
    text = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
    json_ = st.none() | st.just('{"a": 1.10, "b": -0.0}') | _JSON.map(lambda one: json.dumps(one, ensure_ascii=False))
    values = {
        "id": data.draw(st.integers(-(2**63), 2**63 - 1)),
        "xid": str(data.draw(st.integers(0, 2**64 - 1))),
        "created_at": data.draw(st.datetimes()).isoformat() + "+00",
        **{name: data.draw(text) for name in _TEXTS},
        "old_value": data.draw(json_),
        "new_value": data.draw(json_),
        "client": data.draw(st.none() | st.ip_addresses().map(str) | st.just("10.1.2.3/8") | st.just("fe80::1/64")),
    }
    row = ", ".join(f"%({name})s::{_TYPES.get(name, 'text')} as {name}" for name in values)
    asked = f"""
        select {{hash}}, l.created_at::text, l.old_value::text, l.new_value::text, l.client::text from (select {row}) l
    """
    with psycopg.connect(server.conninfo(), options="-c timezone=UTC") as session:
        query = sql.SQL(asked).format(hash=sql.SQL(SEALS["hashed"]))
        digest, at, old, new, client = session.execute(query, values).fetchone() or ()
    entry: dict[str, Any] = {name: values[name] for name in _TEXTS}
    entry |= {"user": values["user_id"], "entity": values["entity_type"], "key": values["entity_id"], "at": at}
    entry |= {"id": values["id"], "transaction": values["xid"], "client": client, "table": values["table_name"]}
    images = {name: read_json(value) for name, value in (("old", old), ("new", new)) if value is not None}
    assert hash_of(entry | images) == digest.hex()


_TEXTS = (
    *("user_id", "action", "entity_type", "entity_id", "origin", "table_name", "db_user", "db_role", "app"),
    *("actor", "actor_how", "reason"),
)
_TYPES = {"id": "int8", "xid": "text::xid8", "created_at": "timestamptz", "client": "inet"} | dict.fromkeys(
    ("old_value", "new_value"), "jsonb"
)


def lines_of(workspace: Workspace, directory: Path) -> list[Facts]:
    """The lines of an export of everything."""
    path = directory / f"whole-{len(list(directory.iterdir()))}.jsonl"
    exported(workspace, path, "1 hour ago")
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(directory: Path, lines: list[Facts]) -> Path:
    path = directory / "forged.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path
