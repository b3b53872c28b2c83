# Shared by every bats file: where the build is, and waiting without sleeping blindly.
bats_require_minimum_version 1.5.0
ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
export ROOT BUILD PATH="$BUILD/bin:$BUILD/bench:$PATH"
export LC_ALL=C.UTF-8
# shellcheck source=tests/lib/wait.bash
source "$ROOT/tests/lib/wait.bash"

# below PID [NAME]: its descendants, and itself; of that name.
below() {
	local pid parent all=" $1 " more=1
	while ((more)); do
		more=0
		while read -r pid parent; do
			if [[ $all == *" $parent "* && $all != *" $pid "* ]]; then
				all+="$pid "
				more=1
			fi
		done < <(ps -eo pid=,ppid=)
	done
	for pid in $all; do
		[ "${2:-}" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$2" ] || echo "$pid"
	done
}
