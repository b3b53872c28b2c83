// Recordings as a list of cards: the server names them, newest first.

export function clock(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	const two = (n) => String(n).padStart(2, '0');
	return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
		: `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export function when(text) {
	const date = new Date(text);
	return Number.isNaN(date.getTime()) ? '' : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

// What there is of a stream, or of all where the name is ''; nothing where the server shows none.
export async function recordings(prefix, stream) {
	try {
		const reply = await fetch(stream ? `${prefix}/archive/${encodeURIComponent(stream)}/recordings.json` : '/recordings.json');
		return reply.ok ? (await reply.json()).recordings : [];
	} catch {
		return [];
	}
}

export const folder = (prefix, r) => `${prefix}/archive/${encodeURIComponent(r.stream)}/${encodeURIComponent(r.broadcast)}/`;

export function card(prefix, r, named) {
	const item = document.createElement('li');
	const link = document.createElement('a');
	const picture = document.createElement('span');
	const name = document.createElement('strong');
	link.href = `${prefix}/watch/${encodeURIComponent(r.stream)}/${encodeURIComponent(r.broadcast)}`;
	link.dataset.broadcast = r.broadcast;
	picture.className = 'poster';
	if (r.poster) {
		const img = document.createElement('img');
		img.alt = '';
		img.loading = 'lazy';
		img.src = folder(prefix, r) + r.poster;
		picture.append(img);
	}
	if (Number.isFinite(r.dur_ms)) {
		const length = document.createElement('span');
		length.className = 'length';
		length.textContent = clock(r.dur_ms / 1000);
		picture.append(length);
	}
	name.textContent = named ? r.stream : when(r.started_at) || r.broadcast;
	link.append(picture, name);
	if (named) {
		const date = document.createElement('span');
		date.className = 'viewers';
		date.textContent = when(r.started_at);
		link.append(date);
	}
	item.append(link);
	return item;
}
