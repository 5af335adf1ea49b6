#!/bin/sh
# Installs what the tests talk to: a real Redis, a real mail server (Exim), xmlsec1 and xmllint as independent judges, strace,
# Python and curl for the drivers that share no code with us, and the test runner. Does nothing where they are there.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need redis-server redis-server
need xmlsec1 xmlsec1
need xmllint libxml2-utils
need strace strace
need python3 python3
need curl curl
[ -x /usr/sbin/exim4 ] || missing="$missing exim4-daemon-light"
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	echo "setup: installing$missing"
	root=""
	[ "$(id -u)" = 0 ] || root="sudo"
	export DEBIAN_FRONTEND=noninteractive
	$root apt-get update -q >/dev/null
	# shellcheck disable=SC2086 # a list of packages
	$root apt-get install -y -q --no-install-recommends $missing >/dev/null
fi
cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
# zeep and xmlsec in an environment of their own, for tests/it/drivers.
sh "$(dirname "$0")/../tests/it/drivers/setup.sh" "${CARGO_TARGET_DIR:-target}/drivers"
