"""A procedure that no chapter has, in two files: its declaration here, the rest in greet.py."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Procedure

PROCEDURES = (
    Procedure(
        words="greet guests",
        summary="Greet some guests by name.",
        example="tabsync greet guests Ana --times 2",
        details="Nothing is written anywhere but into the ledger.",
        request="tests.example.greet:Greet",
        takes="dry-run json",
        plan="tests.example.greet:plan_greet",
        show="tests.example.greet:show_greet",
        surfaces=EVERYWHERE,
        needs="nothing",
    ),
)
