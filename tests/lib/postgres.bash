# A PostgreSQL of the test's own: in a folder of the test's, on a unix socket only.  PostgreSQL does
# not run as root, so under root it is another user's.

pg_bin() {
	local d
	for d in /usr/lib/postgresql/*/bin; do
		[ ! -x "$d/initdb" ] || printf '%s\n' "$d"
	done | sort -V | tail -n 1
}

# pg_do COMMAND...: as the user that PostgreSQL runs as.
pg_do() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/ "$@"
	else
		"$@"
	fi
}

# pg_create: a new cluster, started; afterwards $PG is where it is, $DB a connection string.
pg_create() {
	[ -n "$(pg_bin)" ] || skip "no postgres"
	PATH=$PATH:$(pg_bin)
	PG=$(mktemp -d /tmp/lv-pg.XXXXXX) # a socket's path must be short
	[ "$(id -u)" != 0 ] || chown nobody:nogroup "$PG"
	DB="postgresql:///lv?host=$PG&user=lv"
	export PATH PG DB PGHOST=$PG PGUSER=lv PGDATABASE=lv
	(cd / && pg_do initdb -D "$PG/data" -U lv -A trust -E UTF8 --no-sync --locale=C.UTF-8 >/dev/null)
	cat <<-END | pg_do tee -a "$PG/data/postgresql.conf" >/dev/null
		listen_addresses = ''
		unix_socket_directories = '$PG'
		fsync = off
		synchronous_commit = off
		full_page_writes = off
		shared_buffers = 16MB
		max_connections = 40
		autovacuum = off
	END
	pg_start
	createdb lv
}

pg_start() { # which must not keep open what a test has open
	(
		for fd in /proc/$BASHPID/fd/*; do
			fd=${fd##*/}
			if ((fd > 2 && fd < 200)); then eval "exec $fd>&-"; fi
		done
		cd / && pg_do pg_ctl -D "$PG/data" -w -t 60 -l "$PG/log" start >/dev/null
	)
}

# pg_stop [MODE]: fast by default.
pg_stop() {
	(cd / && pg_do pg_ctl -D "$PG/data" -w -t 60 -m "${1:-fast}" stop >/dev/null 3>&-)
}

pg_remove() {
	[ -n "${PG:-}" ] || return 0
	pg_stop immediate || :
	rm -rf "$PG"
}

# pg QUERY: its rows, unaligned, bars between columns.
pg() {
	psql -XAtqc "$1"
}
