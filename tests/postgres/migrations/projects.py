"""Projects of the real Alembic and the real Django, each migrated by its own command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.conninfo import conninfo_to_dict

_ENV = """
import os
from sqlalchemy import Column, Integer, MetaData, Table
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
target_metadata = MetaData()
Table("plate", target_metadata, Column("id", Integer, primary_key=True), Column("size", Integer))
"""
_REVISION = """
from alembic import op
revision = {name!r}
down_revision = {before!r}


def upgrade():
{body}
"""
_SETTINGS = """
import os
from urllib.parse import parse_qs, urlsplit, unquote
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
_url = urlsplit(os.environ["DATABASE_URL"])
_host = parse_qs(_url.query).get("host", [_url.hostname])[0]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": _url.path[1:], "HOST": _host,
    "PORT": _url.port, "USER": unquote(_url.username), "PASSWORD": unquote(_url.password or "")}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""
_MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
_MODELS = "from django.db import models\n\n\nclass Plate(models.Model):\n    size = models.IntegerField(default=1)\n"
_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = {after}
    operations = [
{operations}
    ]
"""


class Project:
    """A directory with a program. Its environment is its own: .venv is that of the tests."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        given = conninfo_to_dict(conninfo)
        self.directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "PGPASSFILE": str(given.get("passfile", "")),
            "DATABASE_URL": f"postgresql://{given['user']}@localhost:{given['port']}/{given['dbname']}?host={given['host']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".venv").symlink_to(sys.prefix)

    def write(self, name: str, content: str) -> Path:
        """Write a file of it."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a module or a script of Python in it; gives its exit code and what it printed."""
        argv = [sys.executable, *words]
        done = subprocess.run(argv, cwd=self.directory, env=self._environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr


class Alembic(Project):
    """Made as by `alembic init`. Its models: plate (id, size)."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        super().__init__(directory, conninfo)
        config = Config(str(directory / "alembic.ini"), stdout=io.StringIO())
        command.init(config, str(directory / "alembic"))
        path = directory / "alembic" / "env.py"
        path.write_text(path.read_text().replace("target_metadata = None", _ENV))

    def revision(self, name: str, before: str | None, *lines: str) -> None:
        """Write a revision."""
        body = "\n".join(f"    {one}" for one in lines)
        self.write(f"alembic/versions/{name}_x.py", _REVISION.format(name=name, before=before, body=body))


class Django(Project):
    """A project with one app, shop, with one model, Plate."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        super().__init__(directory, conninfo)
        self.write("manage.py", _MANAGE)
        self.write("settings.py", _SETTINGS)
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", _MODELS)
        self.write("shop/migrations/__init__.py", "")

    def migration(self, name: str, before: str, *operations: str, atomic: bool = True) -> None:
        """Write a migration."""
        after = [("shop", before)] if before else []
        body = "\n".join(f"        {one}," for one in operations)
        content = _MIGRATION.format(atomic=atomic, after=after, operations=body)
        self.write(f"shop/migrations/{name}.py", content)
