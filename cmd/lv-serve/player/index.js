// The list of what is live, looked at again every five seconds, and of what was, every minute.
import { card as past, recordings } from '/player/shelf.js';

const list = document.getElementById('streams');
const empty = document.getElementById('empty');

function card(s) {
	const item = document.createElement('li');
	const link = document.createElement('a');
	link.href = `/watch/${encodeURIComponent(s.stream)}`;
	link.dataset.stream = s.stream;
	const picture = document.createElement('span');
	picture.className = 'poster';
	if (s.poster) {
		const img = document.createElement('img');
		img.alt = '';
		img.src = s.poster;
		picture.append(img);
	}
	const badge = document.createElement('span');
	badge.className = 'badge';
	badge.textContent = 'LIVE';
	picture.append(badge);
	const name = document.createElement('strong');
	name.textContent = s.stream;
	const viewers = document.createElement('span');
	viewers.className = 'viewers';
	viewers.textContent = s.viewers === 1 ? '1 viewer' : `${s.viewers} viewers`;
	link.append(picture, name, viewers);
	item.append(link);
	return item;
}

async function look() {
	try {
		const reply = await fetch('/streams.json');
		if (!reply.ok)
			throw new Error(`HTTP ${reply.status}`);
		const { streams } = await reply.json();
		streams.sort((a, b) => b.viewers - a.viewers || a.stream.localeCompare(b.stream));
		list.replaceChildren(...streams.map(card));
		empty.hidden = streams.length > 0;
		document.body.dataset.state = streams.length ? 'live' : 'empty';
	} catch {
		document.body.dataset.state = 'unreachable';
	}
	setTimeout(look, 5000);
}

async function remember() {
	const all = await recordings('', '');
	document.getElementById('recordings').replaceChildren(...all.map((r) => past('', r, true)));
	document.getElementById('past').hidden = !all.length;
	setTimeout(remember, 60000);
}

look();
remember();
fetch('/site.json').then((reply) => reply.json()).then(async (site) => {
	if (site.chat)
		(await import('/player/notify.js')).notify(site.chat);
}).catch(() => {}); // nobody tells then
