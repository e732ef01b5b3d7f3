"""The real Prisma client says who acts, as docs/how-to/acting-as.md shows it, and the audit log names that person."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg

from tabsync.audit.claims_key import write_key
from tests.prisma import Prisma
from tests.sessions import connect

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "acting-as.md"
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
    function, call = re.findall(r"```ts no-run\n(.*?)```", PAGE.read_text(), re.DOTALL)
    prisma = Prisma(directory, conninfo, MODELS)
    prisma.run(
        f"""
        import {{ prisma }} from "./open.ts";
        {function}
        const [userId, id, key, fullName] = ["{actor}", "{actor}", "{KEY}", "Ann"];
        {call}
        await prisma.user.update({{ where: {{ id }}, data: {{ fullName: "Bob" }} }});
        await prisma.$disconnect();
        """
    )
    with psycopg.connect(conninfo) as session:
        told = session.execute(
            "select actor, actor_how, user_id::text, new_value ->> 'full_name' from audit_logs"
            " where table_name = 'public.users' order by id"
        ).fetchall()
    assert told == [(actor, "signed", actor, "Ann"), (None, None, None, "Bob")]
