"""The real Prisma client says who acts, as docs/how-to/acting-as.md shows it, and the audit log names that person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from tabsync.audit.claims_key import write_key
from tests.prisma import Prisma
from tests.sessions import connect

EXAMPLE = Path(__file__).parents[2] / "example" / "acting.ts"
KEY = "0123456789abcdef" * 4
MODELS = """
model User {
  id       String @id @db.Uuid
  fullName String @map("full_name")

  @@map("users")
}
"""


def test_an_entry_names_the_user_who_acted(audited_database: Callable[..., str], directory: Path) -> None:
    conninfo = audited_database()
    with connect(conninfo, "tests") as session:
        write_key(session, KEY.encode())
        (actor,) = session.execute("select id::text from public.users order by id limit 1").fetchone() or ("",)
    prisma = Prisma(directory, conninfo, MODELS)
    (directory / "acting.ts").write_text(EXAMPLE.read_text())
    prisma.run(
        f"""
        import {{ prisma }} from "./open.ts";
        import {{ rename }} from "./acting.ts";
        await rename(prisma, "{actor}", "Ann", "{KEY}");
        await prisma.user.update({{ where: {{ id: "{actor}" }}, data: {{ fullName: "Bob" }} }});
        await prisma.$disconnect();
        """
    )
    with psycopg.connect(conninfo) as session:
        told = session.execute(
            "select actor, actor_how, user_id::text, new_value ->> 'full_name' from audit_logs"
            " where table_name = 'public.users' order by id"
        ).fetchall()
    assert told == [(actor, "signed", actor, "Ann"), (None, None, None, "Bob")]
