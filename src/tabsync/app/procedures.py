"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("app", "Restart the application, read its log, give it another database.", "tabsync app restart backend"),
    Group("integration", "Check beforehand what other systems allow.", "tabsync integration check"),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="app restart",
        summary="Restart an application, and wait until it is up again.",
        example="tabsync app restart backend --dry-run",
        details=(
            "How is said by [app.NAME] in tabsync.toml: by a command, systemd, Kubernetes, or Azure Container Apps. "
            "A restart opens more connections for a moment: when nearly all are in use, end sessions first."
        ),
        request="tabsync.app.restart:Restart",
        takes="dry-run json",
        plan="tabsync.app.restart:plan_restart",
        show="tabsync.app.restart:show_restart",
        surfaces=ON_REQUEST,
        operator="responder",
        needs="nothing",
    ),
    Procedure(
        words="app logs",
        summary="Show the last lines that an application wrote.",
        example="tabsync app logs backend --grep gateway",
        details="Of each replica. Passwords, tokens and card numbers in it are replaced by ***, if recognized.",
        request="tabsync.app.logs:Logs",
        takes="json",
        read="tabsync.app.logs:look_logs",
        operator="responder",
        needs="nothing",
    ),
    Procedure(
        words="app switch-database",
        summary="Give an application another database, and wait until it is up again.",
        example="tabsync app switch-database backend --to NEW_DATABASE_URL --dry-run",
        details=(
            "The connection string itself is never given here: it is in an environment variable or a file (command, "
            "systemd), or in a secret that Kubernetes or Azure keeps. What users write from then on is in the new "
            "database only."
        ),
        request="tabsync.app.switch_database:Switch",
        takes="dry-run yes json",
        plan="tabsync.app.switch_database:plan_switch",
        show="tabsync.app.switch_database:show_switch",
        surfaces=ON_REQUEST,
        needs="nothing",
    ),
    Procedure(
        words="integration check",
        summary="Check what the accounts may do that restart applications, before it is urgent.",
        example="tabsync integration check backend",
        details=(
            "Each permission by its name, and what grants it. Nothing is changed. Exit code 0: all are there. "
            "1: one is missing. 6: one is unknown."
        ),
        request="tabsync.app.integration_check:Check",
        takes="json",
        read="tabsync.app.integration_check:look_check",
        operator="viewer",
        needs="nothing",
    ),
)
