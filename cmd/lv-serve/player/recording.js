// A broadcast that is over: a bar to seek in, with a picture of each moment.
import { clock, folder, recordings, when } from '/player/shelf.js';

const $ = (id) => document.getElementById(id);
const STEP_S = 10;

// The cues of a WebVTT file of thumbnails: which part of which picture shows a moment.
export function cues(text) {
	const time = (t) => t.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
	const found = text.matchAll(/^([\d:.]+) --> ([\d:.]+)[^\n]*\n([^\n#]+)#xywh=(\d+),(\d+),(\d+),(\d+)/gm);
	return [...found].map(([, from, to, file, x, y, w, h]) => ({ from: time(from), to: time(to), file, x: +x, y: +y, w: +w, h: +h }));
}

export async function recording(video, prefix, stream, broadcast) {
	const seek = $('seek');
	let thumbnails = [];
	let held = false; // the viewer's finger is on the bar

	document.body.classList.add('recording');
	$('track').hidden = false;

	function told() {
		const length = Number.isFinite(video.duration) ? video.duration : 0;
		seek.max = length;
		$('length').textContent = clock(length);
		if (!held)
			seek.value = video.currentTime;
		const at = Number(seek.value);
		$('now').textContent = clock(at);
		seek.setAttribute('aria-valuetext', `${clock(at)} of ${clock(length)}`);
		seek.style.setProperty('--done', length ? `${100 * at / length}%` : '0%');
	}

	function peek(at) {
		const box = $('peek');
		const length = Number(seek.max);
		const cue = thumbnails.find((c) => at < c.to) ?? thumbnails.at(-1);
		const picture = $('picture');
		picture.hidden = !cue;
		if (cue) {
			picture.style.width = `${cue.w}px`;
			picture.style.height = `${cue.h}px`;
			picture.style.background = `url("${cue.file}") -${cue.x}px -${cue.y}px`;
		}
		$('moment').textContent = clock(at);
		box.hidden = !length;
		const wide = $('track').clientWidth;
		const place = seek.offsetLeft + 8 + (seek.clientWidth - 16) * (length ? at / length : 0);
		box.style.left = `${Math.min(Math.max(place, box.offsetWidth / 2 + 4), wide - box.offsetWidth / 2 - 4)}px`;
	}

	const under = (event) => {
		const { left, width } = seek.getBoundingClientRect();
		return Math.min(Math.max((event.clientX - left - 8) / (width - 16), 0), 1) * Number(seek.max);
	};
	seek.addEventListener('pointermove', (event) => peek(event.buttons ? Number(seek.value) : under(event)));
	seek.addEventListener('pointerleave', () => { if (!held) $('peek').hidden = true; });
	seek.addEventListener('input', () => {
		held = true;
		video.currentTime = Number(seek.value);
		told();
		peek(Number(seek.value));
	});
	seek.addEventListener('change', () => {
		held = false;
		$('peek').hidden = true;
	});
	for (const event of ['timeupdate', 'durationchange', 'seeking', 'seeked'])
		video.addEventListener(event, told);
	document.addEventListener('keydown', (event) => {
		const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
		if (step && event.target !== seek && !event.target.closest('select, input')) {
			event.preventDefault();
			video.currentTime = Math.min(Math.max(video.currentTime + step, 0), video.duration || 0);
		}
	});
	told();

	const about = (await recordings(prefix, stream)).find((r) => r.broadcast === broadcast);
	if (!about)
		return;
	const at = folder(prefix, about);
	$('when').textContent = when(about.started_at);
	if (about.poster)
		video.poster = at + about.poster;
	if (about.file) {
		$('file').href = at + about.file;
		$('file').download = `${stream}-${broadcast}.mp4`;
		$('file').hidden = false;
	}
	if (about.thumbnails) {
		const reply = await fetch(at + about.thumbnails);
		if (reply.ok)
			thumbnails = cues(await reply.text()).map((c) => ({ ...c, file: at + c.file }));
		document.body.dataset.thumbnails = thumbnails.length;
	}
}
