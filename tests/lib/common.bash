# Shared by every bats file: where the build is, and waiting without sleeping blindly.
bats_require_minimum_version 1.5.0
ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
export ROOT BUILD PATH="$BUILD/bin:$BUILD/bench:$PATH"
export LC_ALL=C.UTF-8

# eventually SECONDS COMMAND...: until COMMAND succeeds, tried 20 times a second; for what no event tells.
eventually() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		read -rt 0.05 <> <(:) || :
	done
}

# wait_event FILE SECONDS JQ-CONDITION: until FILE (NDJSON) holds an event for which it is true; prints it.
wait_event() {
	local end=$((SECONDS + $2 + 1)) line
	while ((SECONDS <= end)); do
		if [ -e "$1" ] && line=$(jq -c "select($3)" "$1" 2>/dev/null | head -n 1) && [ -n "$line" ]; then
			printf '%s\n' "$line"
			return 0
		fi
		read -rt 0.05 <> <(:) || :
	done
	echo "no event with $3 in $1 within $2 s" >&2
	return 1
}
