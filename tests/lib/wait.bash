# Waiting for what happens, with a bound; for the tests and the benches.
# shellcheck shell=bash

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
