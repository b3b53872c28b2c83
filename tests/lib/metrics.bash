# What a command answers at its --metrics unix:PATH, and what promtool and the register say of it.
# shellcheck shell=bash

# scrape SOCKET: what is answered there, into the file "scraped", which promtool and the manual have to like.
scrape() {
	curl -sSf --max-time 10 --unix-socket "$1" http://lv/metrics >scraped
	promtool check metrics <scraped
	has "process_resident_memory_bytes *"
	[ -z "$(sed -n 's/^# TYPE \(lv_[a-z0-9_]*\) .*/\1/p' scraped | sort | uniq -d)" ]
	local name
	for name in $(sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' scraped); do
		grep -qx "\.It Cm $name" "$ROOT/man/lv-metrics.7" || { echo "$name is not in lv-metrics(7)"; return 1; }
	done
}

# has SAMPLE: the line is among what was scraped last, but for its value if that is "*".
has() {
	if [ "${1##* }" = '*' ]; then grep -qF -- "${1% \*} " scraped; else grep -qxF -- "$1" scraped; fi ||
		{ echo "no $1 in:"; grep -v '^#' scraped; return 1; }
}
scraped_has() { scrape "$1" >/dev/null && has "$2" >/dev/null; }
