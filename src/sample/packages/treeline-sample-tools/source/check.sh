#!/bin/sh
# Runs the program on made-up systems. usage: check.sh PROGRAM
set -eu
program=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

expect() { # what, expected exit code, expected output
	code=0
	out=$("$program" "$root" 2>&1) || code=$?
	if [ "$code" != "$2" ] || [ "$out" != "$3" ]; then
		printf 'not ok: %s\nexit code %s\n%s\n' "$1" "$code" "$out"
		exit 1
	fi
	echo "ok: $1"
}

mkdir -p "$root/proc" "$root/run" "$root/etc"
echo 'BOOT_IMAGE=/vmlinuz root=LABEL=root ostree=/ostree/boot.1/sample/f00/0 quiet' >"$root/proc/cmdline"
expect 'a system without ostree' 1 'not an ostree system'

: >"$root/run/ostree-booted"
case $("$program" "$root" 2>&1 || echo "code $?") in
*'No such file'*'code 2') echo 'ok: a missing deployment' ;;
*) echo 'not ok: a missing deployment'; exit 1 ;;
esac

boot=$root/sysroot/ostree/boot.1/sample/f00
deploy=$root/sysroot/ostree/deploy/sample/deploy
mkdir -p "$boot" "$deploy/c0ffee.0"
ln -s ../../../deploy/sample/deploy/c0ffee.0 "$boot/0"
expect 'a deployment without an origin' 0 'osname: sample
commit: c0ffee'

printf '[origin]\nrefspec=sample:sample/x86_64/standard\n' >"$deploy/c0ffee.0.origin"
printf 'NAME="Sample"\nVERSION_ID=1\nVERSION="1 (20261124_01)"\n' >"$root/etc/os-release"
expect 'a deployment' 0 'osname: sample
ref: sample:sample/x86_64/standard
commit: c0ffee
version: 1 (20261124_01)'
