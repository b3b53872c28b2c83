# Shared by the benches: CPU seconds from schedstat, interleaved runs, medians, ratios.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
# shellcheck source=tests/lib/wait.bash
source "$ROOT/tests/lib/wait.bash"
export PATH="$ROOT/build/bin:$ROOT/build/bench:/usr/sbin:$PATH"
RUNS=${RUNS:-5}
WORK=$(mktemp -d)
started=()

# Kill what this bench started, by pid, and leave nothing in /tmp.
bench_end() {
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || :
	done
	wait 2>/dev/null || :
	rm -rf "$WORK"
}
trap bench_end EXIT

# cpu_ns PID...: nanoseconds on a processor so far, all threads; a process that has gone counts 0.
cpu_ns() {
	local pid f sum=0 ns
	for pid in "$@"; do
		for f in /proc/"$pid"/task/*/schedstat; do
			read -r ns _ <"$f" 2>/dev/null || continue
			sum=$((sum + ns))
		done
	done
	echo "$sum"
}

# tree PID NAME...: PID and those of its descendants whose command has one of the names.
tree() {
	local root=$1 pid ppid name
	shift
	declare -A parent comm
	while read -r pid ppid name; do
		parent[$pid]=$ppid comm[$pid]=$name
	done < <(ps -eo pid=,ppid=,comm=)
	echo "$root"
	for pid in "${!parent[@]}"; do
		[[ " $* " == *" ${comm[$pid]} "* ]] || continue
		ppid=${parent[$pid]}
		while [ "${ppid:-0}" -gt 1 ] && [ "$ppid" != "$root" ]; do ppid=${parent[$ppid]:-0}; done
		[ "$ppid" != "$root" ] || echo "$pid"
	done
}

median() { sort -n | awk '{ a[NR] = $1 } END { print (NR % 2) ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }

# compare TITLE OURS THEIRS: functions that print CPU nanoseconds of one run; RUNS of each in turn.
compare() {
	local title=$1 ours=$2 theirs=$3 i a b
	: >"$WORK/a"
	: >"$WORK/b"
	for ((i = 0; i < RUNS; i++)); do
		"$ours" >>"$WORK/a"
		"$theirs" >>"$WORK/b"
	done
	a=$(median <"$WORK/a") b=$(median <"$WORK/b")
	awk -v t="$title" -v a="$a" -v b="$b" -v n="$RUNS" 'BEGIN {
		printf "%-52s %9.3f s  %9.3f s  ratio %.2f  (medians of %d)\n", t, a / 1e9, b / 1e9, a / b, n }'
}

# cpu_of COMMAND...: CPU nanoseconds (user + system) of a command that runs to its end.
cpu_of() {
	local t
	t=$( { TIMEFORMAT='%U %S'; time "$@" >/dev/null 2>&1; } 2>&1)
	awk -v t="$t" 'BEGIN { split(t, f, " "); printf "%.0f\n", (f[1] + f[2]) * 1e9 }'
}
