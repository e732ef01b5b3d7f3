#!/bin/sh
# Runs a command until it ends or somebody ends it. Ctrl-C and SIGTERM are how a demo ends in order: they are passed on,
# waited for, and no failure of which make would say "***".
stopped=
trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' INT TERM HUP
"$@" <&0 &
child=$!
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break # a signal ends only the waiting, and not what is waited for
done
[ -n "$stopped" ] && exit 0
exit "$code"
