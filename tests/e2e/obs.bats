# OBS Studio itself, on a screen that is not there, publishes; ffprobe judges what the program got.
# Its packages are many, so that only tests/run --long, which sets LONG, installs and runs it.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	[ -n "${LONG:-}" ] || return 0
	export CLIP=$BATS_FILE_TMPDIR/clip.mkv
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine=r=48000 -t 10 -c:v libx264 \
		-preset ultrafast -g 30 -pix_fmt yuv420p -c:a aac "$CLIP"
}

setup() {
	[ -n "${LONG:-}" ] || skip "only with tests/run --long"
	cd "$BATS_TEST_TMPDIR"
	studios=()
	lv-auth --keys keys add alice >alice
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events \
		--drain-s 0 --grace-ms 200 -- sh -c 'cat >"$LV_STREAM.flv"' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
}

# A studio is a process group: the bus, the screen and OBS.
teardown() {
	local pid
	for pid in "${studios[@]/#/-}" ${door:+"$door"}; do
		kill -- "$pid" 2>/dev/null || :
		eventually 10 gone "$pid" || kill -9 -- "$pid" || :
	done
}

gone() { ! kill -0 -- "$1" 2>/dev/null; }

# obs NAME KEY: a studio with one looped clip, which streams at once, and ends once NAME/stop exists.
# What it says is in NAME/log.
obs() {
	local conf=$PWD/$1/config/obs-studio
	mkdir -p "$conf/basic/profiles/lv" "$conf/basic/scenes" "$1/runtime"
	chmod 700 "$1/runtime"
	printf '%s\n' '[General]' FirstRun=true EnableAutoUpdates=false LastVersion=486539266 '[Basic]' Profile=lv \
		ProfileDir=lv SceneCollection=lv SceneCollectionFile=lv '[BasicWindow]' WarnBeforeStoppingStream=false \
		>"$conf/global.ini"
	printf '%s\n' '[General]' Name=lv '[Output]' Mode=Simple Reconnect=false '[SimpleOutput]' StreamEncoder=x264 \
		VBitrate=800 ABitrate=96 UseAdvanced=true Preset=ultrafast '[Video]' BaseCX=640 BaseCY=360 OutputCX=640 \
		OutputCY=360 FPSType=0 FPSCommon=30 '[Audio]' SampleRate=48000 >"$conf/basic/profiles/lv/basic.ini"
	jq -n --arg server "rtmp://127.0.0.1:$port/live" --arg key "$2" \
		'{type: "rtmp_custom", settings: {server: $server, key: $key, use_auth: false}}' \
		>"$conf/basic/profiles/lv/service.json"
	cat >"$1/stop.lua" <<-END
		function look()
			local f = io.open("$PWD/$1/stop")
			if f then
				f:close()
				obslua.timer_remove(look)
				obslua.obs_frontend_streaming_stop()
			end
		end
		function script_load(settings)
			obslua.timer_add(look, 100)
		end
	END
	jq -n --arg clip "$CLIP" --arg script "$PWD/$1/stop.lua" '{
		name: "lv", current_scene: "s", current_program_scene: "s", scene_order: [{name: "s"}],
		modules: {"scripts-tool": [{path: $script, settings: {}}]},
		sources: [
			{id: "ffmpeg_source", name: "clip", enabled: true, volume: 1.0, mixers: 255,
				settings: {local_file: $clip, is_local_file: true, looping: true}},
			{id: "scene", name: "s", enabled: true, settings: {id_counter: 1, items: [
				{name: "clip", id: 1, visible: true, pos: {x: 0, y: 0}, scale: {x: 1, y: 1}}]}}
		]}' >"$conf/basic/scenes/lv.json"
	env HOME="$PWD/$1" XDG_CONFIG_HOME="$PWD/$1/config" XDG_RUNTIME_DIR="$PWD/$1/runtime" LIBGL_ALWAYS_SOFTWARE=1 \
		QT_QPA_PLATFORM=xcb setsid dbus-run-session -- xvfb-run -a -s '-screen 0 1024x768x24' \
		obs --startstreaming --minimize-to-tray --disable-updater --multi --verbose >"$1/log" 2>&1 3>&- &
	studios+=("$!")
}

@test "OBS publishes H.264 and AAC that move, and its stop ends the broadcast" {
	local codecs='' kind pictures
	obs one "$(cat alice)"
	wait_event events 60 '.event=="broadcast.started" and .stream=="alice"' >/dev/null
	eventually 60 big alice.flv
	touch one/stop
	wait_event events 20 '.event=="publish.ended"' >ended
	wait_event events 20 '.event=="broadcast.ended" and .stream=="alice"' >/dev/null
	[ "$(jq -r .reason ended)" = unpublished ]
	for kind in v a; do
		codecs+="$(ffprobe -v error -select_streams $kind -show_entries stream=codec_name -of csv=p=0 alice.flv) "
	done
	[ "$codecs" = "h264 aac " ]
	pictures=$(ffmpeg -nostdin -v error -i alice.flv -map 0:v -f framemd5 - | awk -F, '!/^#/ { print $6 }' | sort -u | wc -l)
	[ "$pictures" -gt 60 ]
}

big() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt 400000 ]; }

@test "OBS with a wrong key is told so" {
	obs one wrong
	wait_event events 60 '.event=="publish.refused"' >refused
	[ "$(jq -r .reason refused)" = "unknown key" ]
	eventually 20 grep -qF 'NetStream.Publish.Denied (unknown key)' one/log
	[ ! -e alice.flv ]
}

@test "a second OBS with the same key is told that it is in use; the first goes on" {
	local size
	obs one "$(cat alice)"
	eventually 60 big alice.flv
	obs two "$(cat alice)"
	wait_event events 60 '.event=="publish.refused"' >refused
	eventually 20 grep -qF 'NetStream.Publish.BadName (already publishing)' two/log
	size=$(stat -c %s alice.flv)
	eventually 20 grown "$size"
	touch one/stop
	wait_event events 20 '.event=="broadcast.ended"' >/dev/null
	[ "$(jq -s '[.[] | select(.event == "publish.started")] | length' events)" = 1 ]
}

grown() { [ "$(stat -c %s alice.flv)" -gt $(($1 + 100000)) ]; }
