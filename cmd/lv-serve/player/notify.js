// A stream that the viewer follows begins: a line at the foot of the page, on which he can go there.

// where: a path here, :PORT of this host, or the whole address of the chat.
export function socket_of(where, door) {
	const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
	const chat = where.startsWith('/') ? `${scheme}//${location.host}${where}`
		: where.startsWith(':') ? `${scheme}//${location.hostname}${where}/chat` : where;
	return chat.replace(/\/chat$/, `/${door}`);
}

// A link of the site may bring the viewer's token behind a #, which no server sees.
export function take_token() {
	const given = new URLSearchParams(location.hash.slice(1)).get('token');
	if (given) {
		sessionStorage.setItem('lv-token', given);
		history.replaceState(null, '', location.pathname + location.search);
	}
	return sessionStorage.getItem('lv-token') ?? '';
}

function tell(stream) {
	const bar = document.createElement('div');
	bar.className = 'began';
	bar.setAttribute('role', 'status');
	const link = document.createElement('a');
	link.href = `/watch/${encodeURIComponent(stream)}`;
	link.textContent = `${stream} is live. Watch`;
	const close = document.createElement('button');
	close.type = 'button';
	close.textContent = '✕';
	close.setAttribute('aria-label', 'Close');
	close.addEventListener('click', () => bar.remove());
	bar.append(link, close);
	document.querySelector('.began')?.remove(); // the latest is enough
	document.body.append(bar);
}

// here: the stream of this page, which starts by itself.
export function notify(where, here) {
	let failures = 0;
	let known = false; // that there is such a door
	const enter = () => {
		const token = take_token();
		if (!token)
			return;
		const socket = new WebSocket(socket_of(where, 'notify'));
		socket.onopen = () => { known = true; socket.send(JSON.stringify({ type: 'auth', token })); };
		socket.onmessage = (event) => {
			const m = JSON.parse(event.data);
			if (m.type === 'welcome')
				failures = 0;
			else if (m.type === 'stream_started' && m.stream !== here)
				tell(m.stream);
		};
		socket.onclose = (event) => {
			if (event.code !== 4401 && (known || failures < 2)) // who is not let in does not knock for ever
				setTimeout(enter, 1000 + Math.random() * Math.min(60000, 2000 * 2 ** failures++));
		};
	};
	enter();
}
