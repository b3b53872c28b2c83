bats_require_minimum_version 1.5.0
load ../lib/common

# What a user reads must agree: --help, the manual, both completions, the register of events.

commands() {
	local c
	for c in "$BUILD"/bin/*; do
		[ ! -x "$c" ] || printf '%s\n' "${c##*/}"
	done
}

# Long options, sorted, one a line, from text on standard input.
help_options() {
	grep -oE '^ *(-[A-Za-z0-9], )?--[a-z0-9][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' | sort -u
}

manual_options() {
	grep -E '^\.It Fl ' | grep -oE 'Fl Fl [a-z0-9][a-z0-9-]*' | sed 's/Fl Fl /--/' | sort -u
}

completion_options() {
	grep -oE -- '(^|[^a-z0-9-])--[a-z0-9][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' | sort -u
}

# agree COMMAND: prints what differs, and fails.
agree() {
	local want=$BATS_TEST_TMPDIR/want kind file
	"$1" --help | help_options >"$want"
	[ -s "$want" ] || { echo "$1: --help lists no options"; return 1; }
	for kind in manual bash zsh; do
		case $kind in
		manual) file=$ROOT/man/$1.1 ;;
		bash) file=$ROOT/completions/bash/$1 ;;
		zsh) file=$ROOT/completions/zsh/_$1 ;;
		esac
		[ -e "$file" ] || { echo "$1: $file is missing"; return 1; }
		if [ "$kind" = manual ]; then manual_options; else completion_options; fi <"$file" |
			diff --label "$1 --help" --label "$file" -u0 "$want" - || return 1
	done
}

@test "options agree in --help, manual and completions of every command" {
	local c bad=0
	for c in $(commands); do
		agree "$c" || bad=1
	done
	[ "$bad" = 0 ]
}

@test "manuals are clean mdoc, and name their sections" {
	run -0 mandoc -T lint -W warning "$ROOT"/man/*.[1-8]
	local f s
	for f in "$ROOT"/man/*.1; do
		for s in NAME SYNOPSIS DESCRIPTION ENVIRONMENT SIGNALS EVENTS 'EXIT STATUS' EXAMPLES \
			'SEE ALSO' STANDARDS; do
			grep -qx "\.Sh $s" "$f" || { echo "$f has no $s"; return 1; }
		done
	done
}

@test "lv(7) names every command" {
	local c
	for c in $(commands); do
		grep -qx "\.It Xr $c 1" "$ROOT/man/lv.7" || { echo "$c is not in lv(7)"; return 1; }
	done
}

# Event names are strings of two words with a dot, whatever function they are given to; file
# names look like them, and are told apart by their ends.
emitted() {
	find "$ROOT/cmd" "$ROOT/lib" -name '*.[ch]' -exec grep -hoE '"[a-z]+\.[a-z]+"' {} + |
		grep -vE '\.(json|html|css|js|mjs|h|tmp|lock|sock|ndjson|mpd|ts|jpg|state|toml|log|inc)"' |
		tr -d '"' | sort -u
}

@test "lv-events(7) defines every event that is emitted, and no other" {
	sed -n 's/^\.It Cm //p' "$ROOT/man/lv-events.7" | sort >"$BATS_TEST_TMPDIR/defined"
	run -0 uniq -d "$BATS_TEST_TMPDIR/defined"
	[ -z "$output" ]
	emitted | diff --label emitted --label lv-events.7 -u0 - "$BATS_TEST_TMPDIR/defined"
}

@test "lv-metrics(7) defines every figure that is told, and no other" {
	sed -n 's/^\.It Cm \([a-z_0-9]*\)$/\1/p' "$ROOT/man/lv-metrics.7" | sort >"$BATS_TEST_TMPDIR/defined"
	run -0 uniq -d "$BATS_TEST_TMPDIR/defined"
	[ -z "$output" ]
	find "$ROOT/cmd" "$ROOT/lib" -name '*.[ch]' -exec grep -hoE '"(lv|process)_[a-z0-9_]+"' {} + | tr -d '"' |
		grep -vxE 'lv_(bans|keys)' | sort -u | # those are what PostgreSQL notifies
		diff --label told --label lv-metrics.7 -u0 - "$BATS_TEST_TMPDIR/defined"
}

@test "lv-chatd(1) names every word that refuses" {
	local id ids
	ids=$(sed -n '/notices\[\] = {/,/^};/s/^\t{ "\([a-z_]*\)".*/\1/p' "$ROOT/lib/chat.c")
	[ "$(wc -w <<<"$ids")" -gt 20 ]
	for id in $ids; do
		grep -v '^\.\\"' "$ROOT/man/lv-chatd.1" | grep -qw "$id" || { echo "$id"; return 1; }
	done
}

@test "an event in a command's manual is one that lv-events(7) defines" {
	local f name
	for f in "$ROOT"/man/*.1; do
		for name in $(sed -n '/^\.Sh EVENTS/,/^\.Sh EXIT/s/^\.It Cm \([a-z]*\.[a-z]*\)$/\1/p' "$f"); do
			grep -qx "\.It Cm $name" "$ROOT/man/lv-events.7" || { echo "$f: $name"; return 1; }
		done
	done
}

@test "only what README says is GPL links FFmpeg" {
	local c
	for c in "$BUILD"/bin/* "$BUILD"/libexec/lv/*; do
		! ldd "$c" 2>/dev/null | grep -qE 'libav|libsw|libpostproc' || basename "$c"
	done >"$BATS_TEST_TMPDIR/links"
	diff -u - "$BATS_TEST_TMPDIR/links" <<-'END'
		lv-remux
		lv-transcode
	END
	grep -q '(`lv-transcode`, `lv-remux`) is distributed as a whole under GPL' "$ROOT/README.md"
}
