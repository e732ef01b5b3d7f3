#!/bin/sh
# What some tests need beyond the wheels: a browser, a server that speaks German, PostgreSQL 15, PgBouncer, a clock that can be set, the programs age, curl and systemd-analyze. Installed only by root on Debian; elsewhere
# those tests skip and say what is missing.
set -eu
missing=""
[ -x /usr/bin/chromium-headless-shell ] || [ -x /usr/bin/chromium ] || missing="$missing chromium-headless-shell"
[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"
[ -e /usr/share/postgresql/15/extension/postgis.control ] || missing="$missing postgresql-15-postgis-3"
command -v age > /dev/null || missing="$missing age"
command -v curl > /dev/null || missing="$missing curl"
command -v systemd-analyze > /dev/null || missing="$missing systemd"
[ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
ls /usr/lib/*/faketime/libfaketimeMT.so.1 > /dev/null 2>&1 || missing="$missing libfaketime"
[ -e /usr/share/i18n/locales/de_DE ] || missing="$missing locales"
german() { locale -a | grep -qi '^de_DE\.utf-\?8$'; }
[ -n "$missing" ] || german || missing=" "
# The whole browser does as well, but takes two minutes of processor time more: nothing fails when it stays at that.
if [ ! -x /usr/bin/chromium-headless-shell ] && [ -x /usr/bin/chromium ] && [ "$(id -u)" -eq 0 ] && grep -qs '^ID=debian' /etc/os-release; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium-headless-shell; } > /dev/null 2>&1 ||
        echo "note: chromium-headless-shell could not be installed: the tests of the console take the whole chromium, which is slower"
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! grep -qs '^ID=debian' /etc/os-release; then
    echo "note: not installed, so their tests skip:$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# The package would make and start a cluster of its own, which nobody here asked for.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/tabsync-tests.conf
fi
apt-get update -qq
# shellcheck disable=SC2086 # one word for each package
apt-get install -qq -y --no-install-recommends $missing > /dev/null
# The package's own list of locales stays as it is: one more is built beside it.
german || localedef -i de_DE -f UTF-8 de_DE.UTF-8
