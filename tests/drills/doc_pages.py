"""Carries out a page of the documentation as a person would: its commands, its additions to files, in order.

What stands in a page is run as it stands there, but for these rules:

- A command ends with 0, unless its line ends with `# exit code N`.
- `# asks`: the command asks a person. With nobody there it is refused with 4; then it is given --yes, as in a script.
- `# until Ctrl-C`: it runs beside the others, still does at the end of the page, and then ends with 0 on Ctrl-C.
- What is named in angle brackets, or can only be known on the spot, is replaced: see Stand.spelled.
- ```sql is run in the database by its administrator. ```toml goes to the head of tabsync.toml. ```markdown goes into
  manual.md, below the heading that the sentence before it names; a row of a table goes to the end of the table there.
- ```python and ```ts stand word for word in the file that its first line names, which has tests of its own.
- ```yaml is a pipeline for the file that its first line names: its schema is checked.
- ```sh no-run is not run; a comment above it says why.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

from tests.sessions import connect

ROOT = Path(__file__).parents[2]
_NOTE = re.compile(r"\s+# (exit code \d+|asks|until Ctrl-C)?.*$")
_SAID = {"age1...": r"age1[0-9a-z]{58}", "ed25519:...": r"ed25519:[\w+/=]{44}", "tabsync_...": r"tabsync_[\w-]{43}"}
"""What a page shortens, and how it looks where a command printed it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. before: the paragraph or comment above it."""

    info: str
    text: str
    line: int
    before: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a block, and the note behind it."""

    text: str
    note: str
    line: int

    @property
    def expected(self) -> int:
        """The exit code that the page states."""
        return int(self.note.split()[-1]) if self.note.startswith("exit code") else 0


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found, before = [], ""
    for token in MarkdownIt().parse(markdown):
        if token.type == "fence" and token.map:
            found.append(Block(token.info, token.content, token.map[0] + 1, before))
        if token.type in ("inline", "html_block", "fence"):
            before = token.content
    return found


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block. One goes on in the next line after a backslash, or in an open quotation."""
    text = ""
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        note = _NOTE.search(line)
        if note is not None and not _complete(text + line[: note.start()]):
            note = None  # it is within quotes
        text += line[: note.start()] if note else line
        if text.endswith("\\") or not _complete(text):
            text += "\n"
            continue
        if text.strip() and not text.startswith("#"):
            yield Command(text, (note and note[1]) or "", number)
        text = ""
    assert not text, f"an open quotation: {text}"


def _complete(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


@dataclass
class Stand:
    """Where a page is carried out: a directory, a server, and what was said.

    address: HOST:PORT of the server; mail: of a server that takes mails.
    """

    directory: Path
    address: str
    admin: str
    programs: Path
    mail: str = ""
    said: str = ""
    moment: str = ""
    beside: list[tuple[Command, subprocess.Popen[str], Path]] = field(default_factory=list)

    def page(self, name: str, markdown: str) -> None:
        """Carry out all of a page. Raises AssertionError, naming the line."""
        for block in blocks(markdown):
            where = f"{name}:{block.line}"
            kind = block.info.split()[0] if block.info else ""
            if block.info == "sh no-run":
                assert block.before.startswith("<!-- not run by the tests: "), f"{where}: it is not said why"
            elif kind == "sh":
                for command in commands(block):
                    self.run(command, f"{name}:{command.line}")
            else:
                does = {"sql": self._sql, "toml": self._toml, "markdown": self._manual, "yaml": _valid}
                does.get(kind, _there)(block, where)
        self.end(name)

    def run(self, command: Command, where: str = "given") -> None:
        """Run a command, and check how it ends."""
        if command.note.startswith("until"):
            self._start_beside(command)
            return
        code, output = self._shell(self.spelled(command.text))
        if command.note == "asks":
            assert code == 4, f"{where}: $ {command.text}\nit did not ask ({code})\n{output}"
            code, output = self._shell(f"{self.spelled(command.text)} --yes")
        assert code == command.expected, f"{where}: $ {command.text}\n{output}\nexit code {code}"

    def end(self, name: str) -> None:
        """End what runs beside, as Ctrl-C would."""
        for command, process, output in self.beside:
            assert process.poll() is None, f"{name}:{command.line}: it ended\n{output.read_text()}"
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == 0, f"{name}:{command.line}: $ {command.text}\n{output.read_text()}"
        self.beside.clear()

    def close(self) -> None:
        """Leave nothing behind of a page that failed."""
        for _, process, _ in self.beside:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def spelled(self, text: str) -> str:
        """A text of a page with its placeholders replaced."""
        host, port = self.address.split(":")
        fixed = {
            "postgresql://me@db.example.com/": f"postgresql://me@{self.address}/",
            "db.example.com:5432:": f"{host}:{port}:",
            "mailtos://tabsync:SECRET@smtp.example.org:587?": f"mailto://{self.mail}?smtp=127.0.0.1&",
            "PASSWORD": "the password of me",
            "az://backups/production": str(self.directory / "second-store"),
        }
        for shown, real in fixed.items():
            text = text.replace(shown, real)
        for shown, pattern in _SAID.items():
            if shown in text:
                text = text.replace(shown, re.findall(pattern, self.said)[-1])
        if "127.0.0.1:8420" in text:
            text = text.replace("127.0.0.1:8420", self._console())
        return text.replace("14:30", self.half_past_two()) if "14:30" in text else text

    def _console(self) -> str:
        """Where the console beside is: it says so once it is ready, after the scheduler has begun."""
        while True:
            told = "".join(output.read_text() for _, _, output in self.beside)
            if found := re.findall(r"http://(127\.0\.0\.1:\d+)/", told):
                return str(found[-1])
            assert any(process.poll() is None for _, process, _ in self.beside), f"there is no console\n{told}"
            time.sleep(0.1)

    def half_past_two(self) -> str:
        """A second of today to which the archive reaches: the first time one is asked for, it becomes such a second."""
        if not self.moment:
            time.sleep(1.1)  # recovery stops at whole seconds, after the backup's end
            self.moment = time.strftime("%Y-%m-%d %H:%M:%S")
            time.sleep(1.1)
            self._sql(Block("sql", "create table if not exists after_half_past_two ()", 0, ""), "14:30")
            time.sleep(1.1)
            while not self.beside or not self._archived():
                time.sleep(0.5)
                if not self.beside:
                    self.run(Command("tabsync wal receive --once", "", 0), "14:30")
                    break
        return self.moment

    def _archived(self) -> bool:
        """Whether what runs beside has stored a second after that one."""
        code, output = self._shell("tabsync backup window")
        until = re.findall(r"any time from .* to (\d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d)", output.replace("\n", " "))
        return code == 0 and bool(until) and max(until) > self.moment

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{self.programs}:/usr/local/bin:/usr/bin:/bin"
        return {
            "HOME": str(self.directory),
            "PATH": path,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "STATE": f"{self.directory}/.state",
        }

    def _shell(self, text: str) -> tuple[int, str]:
        """Run a command where, and with the variables with which, the one before it ended."""
        first = 'set -a; [ ! -e "$STATE" ] || . "$STATE"; cd "${AT:-$HOME}"'
        script = f'{first}\n{text}\ncode=$?; AT=$PWD; export -p > "$STATE"; exit $code'
        done = subprocess.run(
            ["sh", "-c", script],
            env=self._environment(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said += done.stdout
        return done.returncode, done.stdout

    def _start_beside(self, command: Command) -> None:
        text = self.spelled(command.text).replace("tabsync serve", "tabsync serve --port 0")
        output = self.directory / f"beside-{len(self.beside)}"
        # Ctrl-C reaches it also where the tests themselves were started to ignore it: `make test &`.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        with output.open("w") as file:
            process = subprocess.Popen(
                ["sh", "-c", f'[ ! -e "$STATE" ] || . "$STATE"; cd "${{AT:-$HOME}}"; exec {text}'],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        signal.signal(signal.SIGINT, before)
        self.beside.append((command, process, output))
        while not output.read_text() and process.poll() is None:
            time.sleep(0.1)
        self.said += output.read_text()

    def _sql(self, block: Block, where: str) -> None:
        with connect(self.admin, "tests") as connection:
            for statement in filter(str.strip, self.spelled(block.text).split(";")):
                connection.execute(statement.encode())
        assert where

    def _toml(self, block: Block, where: str) -> None:
        file = self._at() / "tabsync.toml"
        assert file.exists(), f"{where}: there is no tabsync.toml yet"
        file.write_text(self.spelled(block.text) + file.read_text())

    def _manual(self, block: Block, where: str) -> None:
        headings = re.findall(r"`(#+ [^`]+)`", block.before)
        assert headings, f"{where}: the sentence before it names no heading"
        file = self._at() / "manual.md"
        before, heading, after = file.read_text().partition(f"{headings[-1]}\n")
        assert heading, f"{where}: manual.md has no heading {headings[-1]}"
        table = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
        at = table.end() if block.text.startswith("|") and table else 0
        new = block.text if at else f"\n{block.text}"
        file.write_text(before + heading + after[:at] + new + after[at:])

    def _at(self) -> Path:
        _, output = self._shell("pwd")
        return Path(output.splitlines()[-1])


def _valid(block: Block, where: str) -> None:
    """A pipeline is what its schema says, and no expression in it is misspelled."""
    schema = "vendor.github-workflows" if ".github/" in block.text.splitlines()[0] else "vendor.azure-pipelines"
    program = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--default-filetype",
        "yaml",
        "--regex-variant",
        "python",
        "--builtin-schema",
        schema,
        "-",
    ]
    done = subprocess.run(program, input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{where}: {done.stdout}{done.stderr}"


def _there(block: Block, where: str) -> None:
    first, _, rest = block.text.partition("\n")
    file = ROOT / first.removeprefix("# ").removeprefix("// ")
    assert file.is_file(), f"{where}: there is no {first}"
    assert rest.strip() in file.read_text(), f"{where}: not as in {first}"
