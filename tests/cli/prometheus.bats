# examples/prometheus and examples/grafana, judged by promtool and held against what the commands tell.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	command -v promtool >/dev/null || skip "no promtool"
	cd "$BATS_TEST_TMPDIR"
	P=$ROOT/examples/prometheus
	G=$ROOT/examples/grafana/lv.json
}

# The names of figures in expressions on standard input, without what a histogram adds to its own.
names() {
	grep -oE '[a-zA-Z_:][a-zA-Z0-9_:]*' | grep -E '^(lv|process)_|:[a-z]' | sed -E 's/(_seconds)_(bucket|sum|count)$/\1/' | sort -u
}

# Each is a figure of lv-metrics(7), which are those that the commands tell (docs.bats), or of lv.rules.yml.
told() {
	local name bad=0
	while read -r name; do
		grep -qx "\.It Cm $name" "$ROOT/man/lv-metrics.7" || grep -qx " *- record: $name" "$P/lv.rules.yml" ||
			{ echo "nobody tells $name"; bad=1; }
	done
	((bad == 0))
}

@test "the configuration and the rules are good, and speak of figures that there are" {
	promtool check config "$P/prometheus.yml"
	promtool check rules "$P/lv.rules.yml" "$P/lv.alerts.yml"
	sed -n '/^ *expr:/,/^ *\(for\|labels\|- record\|annotations\):/p' "$P/lv.rules.yml" "$P/lv.alerts.yml" | grep -v 'annotations:' |
		sed 's/- record: .*//' | names >used
	[ "$(wc -l <used)" -gt 30 ]
	told <used
}

@test "each alert fires when it should, alone, and has a word of what to do" {
	promtool test rules "$P/lv.test.yml"
	local alert
	for alert in $(sed -n 's/^ *- alert: //p' "$P/lv.alerts.yml"); do
		grep -q "alertname=\"$alert\"" "$P/lv.test.yml" || { echo "$alert was never tried"; return 1; }
	done
	[ "$(grep -c '^ *- alert: ' "$P/lv.alerts.yml")" = "$(grep -cE '^ *runbook: ".{30,}[.?]"$' "$P/lv.alerts.yml")" ]
}

@test "the dashboard: each expression parses, each figure is told, no panel lies on another" {
	jq -e '.uid == "lv-streams" and .schemaVersion >= 37 and ([.panels[].id] | length == (unique | length))' "$G"
	jq -r '.panels[].targets[]?.expr' "$G" >exprs
	[ "$(wc -l <exprs)" -gt 40 ]
	# shellcheck disable=SC2016 # Grafana expands these
	sed -i 's/\$__rate_interval/1m/g; s/\$stream/.*/g' exprs
	! grep -F '$' exprs
	{
		printf 'groups:\n  - name: dashboard\n    rules:\n'
		local n=0 expr
		while read -r expr; do
			printf '      - record: panel:%d\n        expr: %s\n' "$((n += 1))" "$(jq -Rn --arg e "$expr" '$e')"
		done <exprs
	} >dashboard.yml
	promtool check rules dashboard.yml
	names <exprs | told
	jq -e '[.panels[] | .gridPos as $p | range($p.x; $p.x + $p.w) as $x | range($p.y; $p.y + $p.h) as $y | [$x, $y]] |
		length == (unique | length)' "$G" >/dev/null
	jq -e '.panels[] | select(.type != "row") | .targets | length > 0' "$G" >/dev/null
}
