"""The tokens of a statement, read from left to right."""

from __future__ import annotations

from collections.abc import Iterator

from tabsync.migrations.histories.script import Token

_LONGEST = 63
"""Bytes of a name: PostgreSQL cuts it there. https://www.postgresql.org/docs/current/sql-syntax-lexical.html"""

END = Token("end", "")


def cut(name: str) -> str:
    """A name as PostgreSQL keeps it."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


class Reader:
    """A place in the tokens of a statement."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens, self.at = tokens, 0

    def peek(self) -> Token:
        """The next token."""
        return self.tokens[self.at] if self.at < len(self.tokens) else END

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.tokens)

    def take(self, *words: str) -> bool:
        """Go past some words, if they are next."""
        following = self.tokens[self.at : self.at + len(words)]
        if tuple(one.text for one in following if one.kind == "word") != words:
            return False
        self.at += len(words)
        return True

    def any_of(self, *words: str) -> str:
        """Go past one of some words; "" when none of them is next."""
        return next((one for one in words if self.take(one)), "")

    def next_is(self, *words: str) -> bool:
        """Whether one of some words is next."""
        return self.peek().kind == "word" and self.peek().text in words

    def punct(self, text: str) -> bool:
        """Go past a sign, if it is next."""
        if self.peek() != Token("punct", text):
            return False
        self.at += 1
        return True

    def name(self) -> str:
        """One name; "" when there is none."""
        one = self.peek()
        if one.kind not in ("word", "quoted"):
            return ""
        self.at += 1
        return cut(one.text)

    def qualified(self) -> tuple[str, str]:
        """A name with or without its schema: (schema, name)."""
        first = self.name()
        if first and self.punct("."):
            return first, self.name()
        return "", first

    def string(self) -> str | None:
        """A literal; None when there is none, or one with escapes or a variable of a tool in it."""
        one = self.peek()
        if one.kind != "string" or "${" in one.text:
            return None
        self.at += 1
        return one.text

    def if_exists(self) -> bool:
        """Go past IF [NOT] EXISTS."""
        return self.take("if", "not", "exists") or self.take("if", "exists")

    def to(self, *words: str) -> bool:
        """Go past everything up to one of some words, and past it, outside of parentheses."""
        for number, one in self._outside():
            if one.kind == "word" and one.text in words:
                self.at = number + 1
                return True
        return False

    def ends(self, *words: str) -> bool:
        """Go past a last word; what comes before stays."""
        if self.tokens and self.tokens[-1].kind == "word" and self.tokens[-1].text in words:
            self.tokens = self.tokens[:-1]
            return True
        return False

    def parenthesized(self) -> Reader | None:
        """What stands in parentheses, if they are next."""
        if self.peek() != Token("punct", "("):
            return None
        depth = 0
        for number in range(self.at, len(self.tokens)):
            one = self.tokens[number]
            if one.kind == "punct":
                depth += (one.text in "([") - (one.text in ")]")
                if depth == 0:
                    inner = Reader(self.tokens[self.at + 1 : number])
                    self.at = number + 1
                    return inner
        return None

    def actions(self) -> Iterator[Reader]:
        """What is left, by the commas that stand in no parentheses."""
        begin = self.at
        for number, one in self._outside():
            if one == Token("punct", ","):
                yield Reader(self.tokens[begin:number])
                begin = number + 1
        yield Reader(self.tokens[begin:])

    def names(self) -> frozenset[str]:
        """Every name in it, and every word within its literals."""
        found = {one.text for one in self.tokens if one.kind in ("word", "quoted")}
        for one in self.tokens:
            if one.kind in ("string", "escaped"):
                found.update(_words(one.text))
        return frozenset(found)

    def has(self, *words: str) -> bool:
        """Whether one of some words is anywhere in it, literals left out."""
        return any(one.kind == "word" and one.text in words for one in self.tokens)

    def _outside(self) -> Iterator[tuple[int, Token]]:
        depth = 0
        for number in range(self.at, len(self.tokens)):
            one = self.tokens[number]
            if one.kind == "punct":
                depth += (one.text in "([") - (one.text in ")]")
            if depth == 0:
                yield number, one


def _words(text: str) -> set[str]:
    plain = "".join(one if one.isalnum() or one in "_$" else " " for one in text)
    return set(plain.split()) | set(plain.lower().split())
