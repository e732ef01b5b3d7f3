"""What belongs to no chapter, declared: the console, the operators, the runs, the manual, the settings."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("manual", "Check and show the manual, which contains the policy."),
    Group("config", "Show the settings of tabsync.toml.", "tabsync config show"),
    Group("run", "Show runs: their steps and their results; stop one."),
    Group("key", "Create the keys that encrypt and sign backups.", "tabsync key identity ~/backup-identity"),
    Group("operator", "Manage the users of the console."),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="config show",
        summary="Show each setting and where its value comes from; secrets are hidden.",
        example="tabsync config show",
        takes="json",
        command="tabsync.cli.config:show_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="procedures",
        summary="List what can be started, and from where.",
        example="tabsync procedures --json",
        takes="json no-config",
        command="tabsync.cli.procedures:procedures_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="completion",
        summary="Print a script that completes commands in a shell.",
        example="tabsync completion bash > ~/.local/share/bash-completion/completions/tabsync",
        details=(
            "zsh: into a file named _tabsync in a directory of $fpath. "
            "fish: into ~/.config/fish/completions/tabsync.fish. Then open a new shell."
        ),
        request="tabsync.cli.completion:Completion",
        takes="no-config",
        command="tabsync.cli.completion:completion_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="serve",
        summary="Serve the console and keep the schedule until Ctrl-C.",
        example="tabsync serve --port 0",
        details=(
            "What the manual's Schedule says is started when it says so, each run as a process of its own. "
            "To add an operator who can log in: tabsync operator add NAME --role admin"
        ),
        request="tabsync.cli.serve:Serve",
        takes="database store",
        command="tabsync.cli.serve:serve_command",
        needs="pg_monitor",
    ),
    Procedure(
        words="demo",
        summary="Try everything on the database of a restaurant.",
        example="tabsync demo --once",
        details=(
            "Start a restaurant's PostgreSQL with live traffic, prove its backup, and keep the console "
            "running.\n\nEverything is in .tabsync/demo in this directory, and stops with Ctrl-C."
        ),
        request="tabsync.cli.demo:Demo",
        takes="yes json no-config",
        command="tabsync.cli.demo:demo_command",
        needs="nothing: it has a server of its own",
    ),
    Procedure(
        words="manual check",
        summary="List the errors in the manual as FILE:LINE. Also lists the commands in it that are not built yet.",
        example="tabsync manual check manual.md",
        request="tabsync.cli.manual:Check",
        takes="json no-config",
        command="tabsync.cli.manual:check_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="manual show",
        summary="Show the manual, one section, or one runbook.",
        example='tabsync manual show thresholds; tabsync manual show "Payments failing"',
        request="tabsync.cli.manual:Show",
        takes="json no-config",
        command="tabsync.cli.manual:show_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="run list",
        summary="List the newest runs.",
        example="tabsync run list --limit 5",
        request="tabsync.cli.run:List",
        takes="json",
        read="tabsync.cli.run:look_list",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="run show",
        summary="Show the steps of one run, with those that were not done.",
        example="tabsync run show latest",
        request="tabsync.cli.run:Show",
        takes="json",
        read="tabsync.cli.run:look_show",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="run stop",
        summary="Stop a run of this machine in order: what is half made is deleted.",
        example="tabsync run stop latest",
        details=(
            "Its process is interrupted as by Ctrl-C; one of the console ends when it next reports how far it is. "
            "Waits 30 s for it."
        ),
        request="tabsync.cli.run:Stop",
        takes="json",
        command="tabsync.cli.run:stop_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="key identity",
        summary=(
            "Create an identity, which decrypts backups. Store it in two places, not on the host that takes backups."
        ),
        example="tabsync key identity ~/backup-identity",
        request="tabsync.cli.key:Identity",
        takes="json no-config",
        command="tabsync.cli.key:identity_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="key signing",
        summary="Create a key that signs the manifests of backups. Store it on the host that takes backups.",
        example="tabsync key signing ~/backup-signing.pem",
        request="tabsync.cli.key:Signing",
        takes="json no-config",
        command="tabsync.cli.key:signing_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator add",
        summary="Add an operator; asks for the password twice.",
        example="tabsync operator add ana --role admin --generate",
        request="tabsync.cli.operator:Add",
        takes="",
        command="tabsync.cli.operator:add_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator list",
        summary="List the operators.",
        example="tabsync operator list",
        takes="json",
        read="tabsync.cli.operator:look_list",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator password",
        summary="Set a new password for an operator; this ends the operator's sessions.",
        example="tabsync operator password ana",
        request="tabsync.cli.operator:Password",
        takes="",
        command="tabsync.cli.operator:password_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator totp",
        summary="Give an operator a second factor: an authenticator app's code at each login.",
        example="tabsync operator totp ana",
        details=(
            "The secret is shown once, and asked for at the login from when on a code of it was seen. A code is used "
            "once; ten recovery codes take its place. --reset is the way back, on this machine. The API's tokens need "
            "no code."
        ),
        request="tabsync.cli.operator_factor:Totp",
        takes="json",
        command="tabsync.cli.operator_factor:totp_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator map",
        summary="Say which of the application's users an operator is, who may then change roles in the console.",
        example="tabsync operator map ana --user ana@example.com",
        request="tabsync.cli.operator_factor:Map",
        takes="database json",
        command="tabsync.cli.operator_factor:map_command",
        needs="SELECT on the users' table",
    ),
    Procedure(
        words="operator token",
        summary="Make a token by which a program uses the API in an operator's name.",
        example="tabsync operator token deploy-bot",
        details="It is shown once, and works until --remove removes all tokens of the operator.",
        request="tabsync.cli.operator:Token",
        takes="json",
        command="tabsync.cli.operator:token_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="operator remove",
        summary="Remove an operator; this ends the operator's sessions.",
        example="tabsync operator remove ana",
        request="tabsync.cli.operator:Remove",
        takes="",
        command="tabsync.cli.operator:remove_command",
        needs="nothing: the database may be down",
    ),
)
