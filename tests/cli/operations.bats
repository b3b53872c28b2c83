# examples/operations: what an operator of a box copies.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/postgres

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	PATH=$ROOT/examples/operations:$PATH
	export LV_ETC=$PWD/etc LV_HOME=$PWD/home
	umask 077
	mkdir -p etc/secrets home
	echo 'LV_LADDER=/etc/lv/ladder' >etc/lv.conf
	head -c 32 /dev/urandom | base64 >etc/secrets/chat
	lv-auth --keys home/keys add alice --user 42 >alice
	cp -a etc home before 2>/dev/null || { mkdir before && cp -a etc home before/; }
}
teardown() { pg_remove; }

@test "a backup of keys and secrets is put back as it was, and what was there is kept aside" {
	lv-backup saved.tar
	[ "$(stat -c %a saved.tar)" = 600 ]
	rm -r etc
	lv-auth --keys home/keys revoke alice
	run -1 lv-auth --keys home/keys check <alice
	lv-restore saved.tar
	diff -r before/etc etc
	diff before/home/keys home/keys
	[ "$(stat -c %a home/keys etc/secrets/chat)" = "600
600" ]
	[ "$(lv-auth --keys home/keys check <alice)" = alice ]
	grep -q ' off' home/keys.before-restore
	lv-backup - | tar -tf - | grep -qx lv/etc/secrets/chat
}

@test "a backup that is damaged, or no backup, changes nothing" {
	lv-backup saved.tar
	sed 's,LV_LADDER=/etc,LV_LADDER=/tmp,' saved.tar >wrong.tar
	run ! lv-restore wrong.tar
	head -c 3000 saved.tar >short.tar
	run ! lv-restore short.tar
	run -64 lv-restore
	run -64 lv-backup
	run -65 lv-restore --db postgresql:///nowhere saved.tar
	diff -r before/etc etc
	[ ! -e etc.before-restore ]
	rm -r etc home
	run -66 lv-backup nothing.tar
	[ ! -e nothing.tar ]
}

@test "the database: keys, history and bans come back, in one transaction" {
	pg_create
	lv-auth schema | psql -Xq
	lv-auth --db "$DB" add bob --user 7 >bob
	lv-backup --db "$DB" saved.tar
	lv-auth --db "$DB" add carol >carol
	lv-auth --db "$DB" revoke bob
	lv-restore --db "$DB" saved.tar
	[ "$(lv-auth --db "$DB" check <bob)" = bob ]
	run -1 lv-auth --db "$DB" check <carol
	lv-auth --db "$DB" add dora >dora # and it is a whole one
	lv-auth schema | psql -Xq
}

@test "the firewall is one that nft takes, and lets in what it names" {
	[ "$(id -u)" = 0 ] || skip "no network namespaces without being root"
	cat >inside <<-'END'
		set -e
		ip link set lo up
		nft -f "$ROOT/examples/operations/nftables.conf"
		nft -f "$ROOT/examples/operations/nftables.conf" # again, as at a reload
		ip link add inner type veth peer name outer
		unshare -n sleep 60 &
		peer=$!
		trap 'kill $peer' EXIT
		until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
		ip link set outer netns $peer
		ip addr add 198.51.100.1/24 dev inner
		ip link set inner up
		nsenter -t $peer -n sh -c 'ip link set lo up && ip addr add 198.51.100.2/24 dev outer && ip link set outer up'
		python3 -c '
		import socket, select
		ls = []
		for p in (1935, 8080, 9999, 22):
		    s = socket.create_server(("", p), backlog=128); ls.append(s)
		print("ready", flush=True)
		while True:
		    for s in select.select(ls, [], [])[0]: s.accept()' >ready &
		until [ -s ready ]; do :; done
		nsenter -t $peer -n python3 -c '
		import socket
		def comes(port, s=1.0):
		    try: socket.create_connection(("198.51.100.1", port), s).close()
		    except OSError: return False
		    return True
		for i in range(100):
		    if comes(8080): break
		print(comes(1935), comes(8080), comes(9999, .3), comes(22, .3))
		print(all(comes(8080) for i in range(60)), all(comes(1935, .3) for i in range(60)))'
		kill %2
	END
	sed -i 's/^\t*//' inside
	ROOT=$ROOT unshare -n bash inside >said
	cat said
	[ "$(cat said)" = "True True False False
True False" ]
}

@test "every setting of the kernel is one that there is" {
	local key value
	while IFS=' =' read -r key value; do
		case $key in '' | '#'*) continue ;; esac
		[ -e "/proc/sys/${key//.//}" ]
		[ -n "$value" ]
	done <"$ROOT/examples/operations/sysctl.conf"
	grep -q '^\[Journal\]$' "$ROOT/examples/operations/journald.conf"
}
