// One stream: waits for it, plays it at the live edge, and starts again by itself.  Or one recording of it.
import { card, recordings } from '/player/shelf.js';
import * as over from '/player/recording.js';

const [, prefix, last, broadcast] = location.pathname.match(/^(.*)\/watch\/([^/]*)(?:\/([^/]*))?$/) ?? [, '', ''];
const name = decodeURIComponent(last);
const live_at = `${prefix}/live/${last}`; // a private stream's link has a signed prefix
const query = location.search; // for a back end that says who may watch
const master = `${live_at}/master.m3u8${query}`;
const $ = (id) => document.getElementById(id);
const video = $('video');
const page = document.body;
const RETRY_MS = 2000;

let Hls = null;
let hls = null;
let waiting = 0;
let stuck = 0;
let wanted = true; // the viewer has not paused it
let offered = ''; // what there was in the master playlist

const words = {
	connecting: 'Connecting…',
	offline: 'Offline. It starts here by itself when the stream begins.',
	denied: 'This link is not good, or no longer. Ask for a new one.',
	unreachable: 'The server cannot be reached. Trying again…',
	gone: 'There is no such recording, or not yet.',
	unsupported: 'This browser cannot play the stream.',
	stalled: 'Waiting for the picture…',
};

function state(next) {
	page.dataset.state = next;
	$('message').textContent = words[next] ?? '';
	$('badge').textContent = broadcast ? 'RECORDING' : next === 'playing' || next === 'stalled' ? 'LIVE' : 'OFFLINE';
	if (next !== 'playing')
		$('latency').textContent = '';
}

// hls.js is a classic script beside this one; without it the browser may know HLS itself.
function library() {
	return new Promise((done) => {
		const script = document.createElement('script');
		script.src = '/player/hls.min.js';
		script.onload = () => done(window.Hls?.isSupported() ? window.Hls : null);
		script.onerror = () => done(null);
		document.head.append(script);
	});
}

// Sound needs a gesture in most browsers: then it plays muted, and the button says so.
async function play() {
	wanted = true;
	try {
		await video.play();
	} catch (error) {
		if (error.name === 'NotAllowedError' && !video.muted) {
			video.muted = true;
			await video.play().catch(() => { $('big').hidden = false; });
		} else if (error.name === 'NotAllowedError') {
			$('big').hidden = false;
		}
	}
}

function stop() {
	hls?.destroy();
	hls = null;
	quality([]);
	video.removeAttribute('src');
	video.load();
}

function retry(why) {
	stop();
	state(why);
	clearTimeout(waiting);
	waiting = setTimeout(connect, RETRY_MS);
}

const kinds = (list) => (/TYPE=AUDIO|mp4a|opus|flac|ac-3/i.test(list) ? 'sound ' : '') + (list.includes('RESOLUTION=') ? 'picture' : '');

// Sound or a picture that comes later, or is lost, changes the master playlist, which hls.js reads but once.
async function look_again() {
	if (!hls || video.paused || (page.dataset.state !== 'stalled' && offered === 'sound picture'))
		return;
	const reply = await fetch(master, { cache: 'no-store' }).catch(() => null);
	if (reply?.ok && kinds(await reply.text()) !== offered)
		connect();
}

async function connect() {
	clearTimeout(waiting);
	try {
		const facts = await fetch(`${live_at}/stream.json${query}`, { cache: 'no-store' });
		if (facts.status === 403)
			return retry('denied');
		if (facts.ok && (await facts.json()).live === false)
			return retry('offline');
		const reply = await fetch(master, { cache: 'no-store' });
		if (!reply.ok)
			return retry('offline');
		offered = kinds(await reply.text());
	} catch {
		return retry('unreachable');
	}
	if (Hls)
		attach();
	else if (video.canPlayType('application/vnd.apple.mpegurl')) {
		video.src = master;
		play();
	} else
		state('unsupported');
}

// A picture that cannot be decoded: all begins anew behind it, once a connection. It does not play by itself then.
function broken() {
	if (hls.mended && broadcast)
		state('unsupported');
	else if (hls.mended)
		retry('stalled');
	else {
		hls.mended = true;
		hls.recoverMediaError();
		state('stalled');
		if (wanted)
			play();
		give_time();
	}
}

function give_time() {
	clearTimeout(stuck);
	stuck = setTimeout(() => { if (!broadcast && page.dataset.state === 'stalled') retry('stalled'); }, 3 * RETRY_MS);
}

function attach() {
	stop();
	hls = new Hls({
		// With two, one late request is a stall. A list may be a second old: from camera to glass it is 7 s at most.
		liveSyncDurationCount: 2.75,
		liveMaxLatencyDurationCount: 8,
		backBufferLength: 30,
		manifestLoadingMaxRetry: 1,
	});
	hls.on(Hls.Events.MANIFEST_PARSED, () => {
		quality(hls.levels);
		play();
	});
	hls.on(Hls.Events.LEVEL_SWITCHED, () => quality(hls.levels));
	hls.on(Hls.Events.ERROR, (_, error) => {
		if (!error.fatal)
			return;
		if (error.type === Hls.ErrorTypes.MEDIA_ERROR)
			broken();
		else
			retry(error.response?.code === 404 ? 'offline' : 'unreachable');
	});
	hls.loadSource(master);
	hls.attachMedia(video);
}

// A broadcast that is over.
function recording() {
	const list = `${prefix}/archive/${last}/${broadcast}/vod.m3u8${query}`;
	if (Hls) {
		hls = new Hls({ backBufferLength: 30 });
		hls.on(Hls.Events.MANIFEST_PARSED, () => quality(hls.levels));
		hls.on(Hls.Events.LEVEL_SWITCHED, () => quality(hls.levels));
		hls.on(Hls.Events.ERROR, (_, error) => {
			if (!error.fatal)
				return;
			if (error.type === Hls.ErrorTypes.NETWORK_ERROR && hls.levels.length) // there is one: what is buffered plays on
				setTimeout(() => hls.startLoad(), RETRY_MS);
			else if (error.type === Hls.ErrorTypes.MEDIA_ERROR)
				broken();
			else
				state('gone');
		});
		hls.loadSource(list);
		hls.attachMedia(video);
	} else {
		video.addEventListener('error', () => state('gone'));
		video.src = list;
	}
	over.recording(video, prefix, name, broadcast);
	play();
}

// What was before: a list over the picture, and in its place while there is none.
async function shelve() {
	const all = (await recordings(prefix, name)).filter((r) => r.broadcast !== broadcast);
	$('recordings').replaceChildren(...all.map((r) => card(prefix, r, false)));
	$('others').hidden = !all.length;
	if (all.length && page.dataset.state === 'offline')
		shelf(true);
}

function shelf(open) {
	$('shelf').hidden = !open;
	$('others').setAttribute('aria-expanded', String(open));
}

function label(level, levels) {
	const short = Math.min(level.width, level.height);
	const rate = level.bitrate < 1e6 ? `${Math.round(level.bitrate / 1000)}k` : `${(level.bitrate / 1e6).toFixed(1)}M`;
	const alone = levels.filter((l) => Math.min(l.width, l.height) === short).length < 2;
	return !short ? rate : alone ? `${short}p` : `${short}p ${rate}`;
}

function quality(levels) {
	const menu = $('quality');
	const chosen = hls && !hls.autoLevelEnabled ? hls.loadLevel : -1;
	const now = hls && chosen < 0 && !matchMedia('(max-width: 430px)').matches && levels[hls.currentLevel]; // there is room
	const auto = new Option(now ? `Auto ${label(now, levels)}` : 'Auto', '-1');
	menu.replaceChildren(auto, ...levels.map((level, i) => new Option(label(level, levels), String(i))).reverse());
	menu.value = String(chosen);
	menu.disabled = levels.length < 2;
}

function edge() {
	if (hls?.liveSyncPosition)
		return hls.liveSyncPosition;
	return video.seekable.length ? video.seekable.end(video.seekable.length - 1) - 4 : video.currentTime;
}

function live() {
	video.currentTime = Math.max(edge(), video.currentTime);
	play();
}

function sound() {
	video.muted = !video.muted;
}

function full() {
	if (document.fullscreenElement)
		document.exitFullscreen();
	else if ($('stage').requestFullscreen)
		$('stage').requestFullscreen();
	else
		video.webkitEnterFullscreen?.();
}

// Captions that ride in the picture: none, then each channel that there is.
function captions() {
	const tracks = [...video.textTracks].filter((t) => t.kind === 'captions');
	const next = tracks.findIndex((t) => t.mode === 'showing') + 1;
	tracks.forEach((t, i) => { t.mode = i === next ? 'showing' : 'hidden'; });
	told_captions();
}

function told_captions() {
	const tracks = [...video.textTracks].filter((t) => t.kind === 'captions');
	const shown = tracks.find((t) => t.mode === 'showing');
	$('captions').hidden = !tracks.length;
	$('captions').setAttribute('aria-pressed', String(Boolean(shown)));
	$('captions').textContent = shown && tracks.length > 1 ? shown.label : 'CC';
}

function toggle() {
	if (video.paused)
		play();
	else {
		wanted = false;
		video.pause();
	}
}

// Who was there before the third segment began too close to the live edge, who stalled is too far from it: the rate
// mends it, so little that nobody hears it.
function pace() {
	const off = hls?.latency - hls?.targetLatency;
	if (!Number.isFinite(off) || video.paused)
		return;
	if (off < -1)
		video.playbackRate = 0.92;
	else if (off > 0.5)
		video.playbackRate = 1.08;
	else if ((video.playbackRate < 1) === (off > 0))
		video.playbackRate = 1;
}

function figures() {
	const taken = hls?.playingDate?.getTime() ??
		(video.getStartDate ? video.getStartDate().getTime() + video.currentTime * 1000 : NaN);
	const behind = (Date.now() - taken) / 1000;
	if (page.dataset.state === 'playing' && Number.isFinite(behind)) {
		$('latency').textContent = `${behind.toFixed(1)} s`;
		page.dataset.latency = behind.toFixed(2);
	}
	$('live').dataset.at = edge() - video.currentTime > 4 ? 'behind' : 'edge';
}

video.addEventListener('playing', () => {
	if (page.dataset.state !== 'playing' && page.dataset.state !== 'stalled')
		shelf(false);
	$('big').hidden = true;
	state('playing');
});
video.addEventListener('waiting', () => {
	if (page.dataset.state === 'playing')
		state('stalled');
	// A browser's own HLS stays in the quality it plays when that one has gaps; the list it has then has another.
	if (!hls)
		give_time();
});
video.addEventListener('ended', () => { if (!broadcast) retry('offline'); });
video.addEventListener('error', () => {
	if (hls) // which would notice it with the next segment only
		broken();
	else if (!broadcast && video.getAttribute('src'))
		retry('unreachable');
});
video.addEventListener('click', toggle);
for (const event of ['play', 'pause'])
	video.addEventListener(event, () => {
		$('play').textContent = video.paused ? '▶' : '❚❚';
		$('play').setAttribute('aria-label', video.paused ? 'Play' : 'Pause');
	});
video.addEventListener('volumechange', () => {
	$('mute').textContent = video.muted ? 'Unmute' : 'Mute';
	$('mute').setAttribute('aria-label', video.muted ? 'Unmute' : 'Mute');
});
$('big').addEventListener('click', play);
$('play').addEventListener('click', toggle);
$('mute').addEventListener('click', sound);
$('live').addEventListener('click', live);
$('full').addEventListener('click', full);
$('others').addEventListener('click', () => shelf($('shelf').hidden));
$('captions').addEventListener('click', captions);
for (const event of ['addtrack', 'removetrack', 'change'])
	video.textTracks.addEventListener(event, told_captions);
$('quality').addEventListener('change', (event) => {
	if (hls) // from the next segment on: what is buffered is played, so that nothing stalls
		hls.loadLevel = Number(event.target.value);
});
const keys = { ' ': toggle, k: toggle, m: sound, f: full, c: captions, ...(broadcast ? {} : { l: live }) };
document.addEventListener('keydown', (event) => {
	if (event.target.closest('button, select, input') || event.ctrlKey || event.metaKey || event.altKey)
		return;
	const act = keys[event.key];
	if (act) {
		event.preventDefault();
		act();
	}
});
document.addEventListener('visibilitychange', () => {
	if (!broadcast && !document.hidden && wanted && hls && $('live').dataset.at === 'behind')
		live();
});
if (!broadcast) {
	setInterval(() => { figures(); pace(); }, 500);
	setInterval(look_again, 2 * RETRY_MS);
}

$('name').textContent = name;
document.title = broadcast ? `${name} – recording` : `${name} – live`;
state('connecting');
fetch('/site.json').then((reply) => reply.json()).then(async (site) => {
	if (site.chat && !broadcast)
		(await import('/player/chat.js')).chat(name, site.chat);
}).catch(() => {}); // no chat then
Hls = await library();
window.lv = { get hls() { return hls; }, live };
if (broadcast)
	recording();
else
	await connect();
shelve();
