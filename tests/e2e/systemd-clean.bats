# The package in clean roots of Debian 12 and 13: built there from the source alone, installed with what it depends
# on and nothing else, started, watched, removed.  It fetches two systems: tests/run --long.  ROOTS names a folder
# that keeps them from one time to the next.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/machine

setup() {
	local why
	[ -n "${LONG:-}" ] || skip "only with LONG=1: it fetches two systems"
	why=$(machine_possible) || skip "$why"
	cd "$BATS_TEST_TMPDIR" || return
	roots=${ROOTS:-$BATS_FILE_TMPDIR/roots}
	mkdir -p "$roots"
}
teardown() {
	machine_stop
}

build_needs() { sed -n '/^Build-Depends:/,/^Standards/p' "$ROOT/examples/debian/control" | tr -d '\n' |
	sed 's/^Build-Depends: //; s/Standards.*//; s/([^)]*)//g; s/-compat//g; s/, */,/g; s/ //g'; }

# root NAME SUITE PACKAGES: a folder with a Debian of its own.
root() {
	[ -x "$roots/$1/usr/bin/dpkg" ] || mmdebstrap --mode=root --variant=apt --include="$3" "$2" "$roots/$1"
	mkdir -p "$roots/$1/dev"
}

# inside NAME COMMAND...: in that folder, with the network of this machine.
inside() {
	# shellcheck disable=SC2016 # the shell in the namespaces expands it
	unshare --mount --pid --fork --kill-child bash -eu -c '
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=755 dev "$root/dev"
		for d in null zero full random urandom; do touch "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
		ln -s /proc/self/fd "$root/dev/fd"
		mkdir "$root/dev/shm"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive "$@"' inside "$roots/$1" "${@:2}" 3>&-
}

# build SUITE: the package, from a copy of the source, in $roots/SUITE.deb
build() {
	root "$1-build" "$1" "build-essential,$(build_needs)"
	rm -rf "$roots/$1-build/src"
	mkdir -p "$roots/$1-build/src/lv"
	(cd "$ROOT" && tar -cf - LICENSE CHANGELOG.md README.md Makefile pipelines.sh cmd completions examples lib man) |
		tar -C "$roots/$1-build/src/lv" -xf -
	cp -a "$ROOT/examples/debian" "$roots/$1-build/src/lv/debian"
	inside "$1-build" sh -c 'cd /src/lv && dpkg-buildpackage -b -uc -us -j2' >build.log 2>&1 || { tail -n 40 build.log; return 1; }
	! grep -E 'warning: [^c]' build.log || return 1 # the compiler's
	mv "$roots/$1-build"/src/*.deb "$roots/$1.deb"
}

# lives SUITE: installed with apt, started, a picture, removed.
lives() {
	local u all
	root "$1" "$1" systemd,systemd-sysv,ffmpeg,curl
	cp "$roots/$1.deb" "$roots/$1/root/lv.deb"
	inside "$1" sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
		apt-get -qq update; apt-get -qq -y --no-install-recommends install /root/lv.deb; rm /usr/sbin/policy-rc.d' >install.log 2>&1 ||
		{ tail -n 40 install.log; return 1; }
	MACHINE_ROOT=$roots/$1 machine_boot "$BATS_TEST_TMPDIR/m"
	mapfile -t all < <(machine dpkg -L lv-live | sed -n 's,^/usr/lib/systemd/system/\([^/]*\.[a-z]*[^d]\)$,\1,p')
	[ "${#all[@]}" -ge 20 ]
	machine systemd-analyze verify --man=no --recursive-errors=no "${all[@]}"
	for u in "${all[@]}"; do
		case $u in *.service) machine systemd-analyze security --offline=yes --threshold=20 --no-pager "$u" >/dev/null ;; esac
	done
	machine systemctl start lv.target
	for u in rtmp-accept lv-serve lv-chatd; do machine systemctl -q is-active $u.service; done
	machine runuser -u lv -- lv-auth --keys /var/lib/lv/keys add alice >key
	machine ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -c:v libx264 \
		-preset ultrafast -b:v 300k -g 30 -pix_fmt yuv420p -c:a aac -t 12 -f flv "rtmp://127.0.0.1/live/$(cat key)" &
	list() { machine curl -sf http://127.0.0.1:8080/live/alice/source/index.m3u8 | grep -q m4s; }
	eventually 60 list || { machine journalctl -n 60; return 1; }
	machine ffmpeg -v error -i http://127.0.0.1:8080/live/alice/master.m3u8 -map 0:v:0 -frames:v 3 -f framecrc - >frames
	[ "$(grep -c '^0,' frames)" = 3 ]
	recording() { machine sh -c 'test -s /var/lib/lv/archive/alice/*/recording.mp4'; }
	eventually 60 recording || { machine journalctl -n 60; return 1; }
	machine dpkg -r lv-live
	run ! machine pgrep -u lv
	machine sh -c 'test -s /etc/lv/lv.conf && test ! -e /usr/libexec/lv && test ! -e /run/lv'
	[ -z "$(machine sh -c 'find /usr /etc -name "lv-*" -o -name "rtmp-*" | grep -v ^/etc/lv')" ]
}

@test "Debian 12: built, installed, started, a picture, removed" {
	build bookworm
	lives bookworm
}
@test "Debian 13 and its FFmpeg 7.1: built, installed, started, a picture, removed" {
	build trixie
	lives trixie
}
