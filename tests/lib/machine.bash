# A machine of the test's own: systemd booted in namespaces, on the files of this one (or of the folder or
# tar file in MACHINE_ROOT); what it writes stays in memory and is gone with it.  It has a network of its own, its
# lo, a cgroup tree of its own, and cannot set the kernel's variables.  Needs root.
# shellcheck shell=bash

# machine_possible: can we make one?  Says what is missing.
machine_possible() {
	[ "$(id -u)" = 0 ] || { echo "no machine without being root"; return 1; }
	unshare --pid --fork --mount --uts --ipc --net --cgroup true 2>/dev/null ||
		{ echo "no machine without namespaces"; return 1; }
}

# machine_boot DIR: sets machine to the pid of its first process.  DIR is a folder for the test alone; DIR/before, a
# script, prepares the files in its working directory before the boot.
machine_boot() {
	local dir=$1 tree
	mkdir -p "$dir/mounts"
	tree=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
	if [ -z "$tree" ]; then
		tree=$dir/cgroup
		mkdir "$tree"
		mount -t cgroup2 cgroup2 "$tree"
	fi
	machine_group=$tree/lv-machine-$$-$RANDOM
	mkdir "$machine_group"
	machine_files >"$dir/boot"
	bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup bash -eu "$2"' \
		boot "$machine_group" "$dir/boot" >"$dir/console" 2>&1 </dev/null 3>&- &
	machine_shell=$!
	eventually 20 machine_began || { cat "$dir/console"; return 1; }
	machine=$(machine_first)
	eventually 60 machine_up || { cat "$dir/console"; machine systemctl list-jobs; return 1; }
}
machine_first() { tr -d ' ' 2>/dev/null <"/proc/$machine_shell/task/$machine_shell/children"; }
machine_began() { [ -n "$(machine_first)" ]; }
machine_up() { timeout 10 nsenter -t "$machine" -a systemctl -q is-active machine.target 2>/dev/null; }

# machine COMMAND...: run there, as root.
machine() {
	nsenter -t "$machine" -a -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LC_ALL=C.UTF-8 SYSTEMD_PAGER='' "$@" 3>&-
}

machine_stop() {
	[ -n "${machine_shell:-}" ] || return 0
	kill -9 "$machine_shell" 2>/dev/null || :
	wait "$machine_shell" 2>/dev/null || :
	eventually 20 machine_swept
}
# The groups of the machine, the deepest first, once their processes are gone.
machine_swept() {
	find "$machine_group" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -d "$machine_group" ]
}

# What the shell in the new namespaces does before it becomes systemd.
machine_files() {
	cat <<-END
		mount -t tmpfs -o size=4g,mode=755 machine '$dir/mounts'
		cd '$dir/mounts'
		mkdir upper work root lower
		lower=${MACHINE_ROOT:-/}
		[ ! -f "\$lower" ] || { tar -C lower -xf "\$lower" --exclude=./dev; lower=lower; }
		mount -t overlay -o "lowerdir=\$lower,upperdir=upper,workdir=work" machine root
		cd root
		[ ! -e '$dir/before' ] || bash -eu '$dir/before'
		mkdir -p proc sys run tmp dev old
	END
	cat <<-'END'
		mount -t proc proc proc
		mount --bind proc/sys proc/sys
		mount -o remount,bind,ro proc/sys
		mount -t sysfs -o ro sysfs sys
		mount -t cgroup2 cgroup2 sys/fs/cgroup
		mount -t tmpfs -o mode=755 run run
		mount -t tmpfs -o mode=1777 tmp tmp
		mount -t tmpfs -o mode=755 dev dev
		mkdir dev/pts dev/shm
		mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
		ln -s pts/ptmx dev/ptmx
		for d in null zero full random urandom tty; do touch "dev/$d"; mount --bind "/dev/$d" "dev/$d"; done
		ln -s /proc/self/fd dev/fd
		for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${i%:*}" "dev/${i#*:}"; done
		mkdir -p run/systemd/system run/lock
		cd run/systemd/system
		for u in timers.target paths.target modprobe@.service systemd-modules-load.service systemd-udevd.service \
			sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount \
			lvm2-monitor.service blk-availability.service systemd-journal-flush.service; do ln -s /dev/null "$u"; done
		printf '[Unit]\nRequires=basic.target dbus.socket\nAfter=basic.target dbus.socket\n' >machine.target
		cd ../../..
		hostname machine
		pivot_root . old
		exec env -i container=machine PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c \
			'umount -l /old; mount --make-rshared /; exec /lib/systemd/systemd --unit=machine.target --show-status=no'
	END
}
