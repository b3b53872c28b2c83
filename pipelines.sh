#!/usr/bin/env bash
# pipelines.sh: the platform on one page.
#
#   ./pipelines.sh deps [test]   install what building (and testing) needs; Debian, as root or by sudo
#
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}"

build_packages=(gcc make pkg-config libc6-dev libev-dev libjansson-dev libpopt-dev libssl-dev zlib1g-dev
	libmicrohttpd-dev libwebsockets-dev libwebsockets-evlib-ev libavformat-dev libavcodec-dev libavfilter-dev
	libavutil-dev libswscale-dev libswresample-dev)
run_packages=(ffmpeg curl jq)
test_packages=(git bats libcmocka-dev clang libclang-rt-14-dev mandoc shellcheck procps xxd zsh
	nginx-light libnginx-mod-rtmp chromium chromium-driver
	gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	gstreamer1.0-plugins-ugly gstreamer1.0-libav)

say() { printf 'pipelines.sh: %s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Install what is missing; Debian would start the services it installs, so it is told not to.
deps() {
	local want=("${build_packages[@]}" "${run_packages[@]}") missing=() p
	[ "${1:-}" != test ] || want+=("${test_packages[@]}")
	if [ "${1:-}" = test ] && ! command -v node >/dev/null; then want+=(nodejs npm); fi
	for p in "${want[@]}"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	as_root apt-get -qq update
	local quiet=/usr/sbin/policy-rc.d mine=
	if [ ! -e "$quiet" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$quiet" >/dev/null
		as_root chmod 755 "$quiet"
		mine=1
	fi
	local status=0
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
		"${missing[@]}" >/dev/null || status=$?
	[ -z "$mine" ] || as_root rm -f "$quiet"
	return "$status"
}

case ${1:-} in
deps) deps "${2:-}" ;;
*) sed -n 's/^#   //p' "${BASH_SOURCE[0]##*/}" >&2; exit 64 ;;
esac
