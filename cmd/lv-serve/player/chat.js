// The room beside the picture. Text is set as text only; who somebody is, the server says.
import { notify, socket_of, take_token } from '/player/notify.js';

const KEEP = 300; // lines on the page
const AGAIN_MS = 60000; // what was said before a connection broke is said again on the next, if it is not older
const QUIET_MS = 10000; // after so long without a word a connection may be dead and not know it
const $ = (id) => document.getElementById(id);

const lines = new Map(); // by the message's id
const broken = new Set(); // pictures of emotes that do not come
const unanswered = new Map(); // what was said here, by its ref
const queue = [];        // what the next frame of the screen shows
let address = '';
let socket = null;
let offset = '';
let token = '';
let me = null;
let failures = 0;
let chosen = null; // the message whose buttons are shown
let answering = '';
let pinned = null; // the message
const page = Math.random().toString(36).slice(2); // so that refs are not those of the page before a reload
let ref = 0;
let drawn = 0;
let slow = 0; // seconds between two messages of a viewer
let heard_at = 0;
let coming = 0; // the timer of the next attempt

function element(name, className, text) {
	const e = document.createElement(name);
	e.className = className;
	e.textContent = text;
	return e;
}

// The same colour for a person always, light enough to be read.
function colour(user) {
	let hash = 0;
	for (const c of user)
		hash = (hash * 31 + c.codePointAt(0)) % 360;
	return `hsl(${hash} 70% 70%)`;
}

const happened = {
	sub: (m) => `${m.name ?? m.user} subscribed`,
	gift: (m) => `${m.name ?? m.user} gave ${m.count} subscriptions`,
	raid: (m) => `${m.name ?? m.user} brings ${m.viewers} viewers`,
	ban: (m) => `${m.user} was banned`,
	timeout: (m) => `${m.user} may not write for ${m.seconds} s`,
	clear: () => 'A moderator cleared the chat',
	missed: () => 'Some of what was said is no longer known',
};

function emote_of(text, url) {
	if (!url?.startsWith('/') || url.startsWith('//') || broken.has(url))
		return text;
	const img = element('img', 'emote', '');
	img.alt = img.title = text;
	img.addEventListener('error', () => { broken.add(url); img.replaceWith(text); });
	img.src = url;
	return img;
}

// The text with its emotes as pictures. Their places count code points.
function text_of(m) {
	const text = element('span', 'text', '');
	if (m.type === 'emote') {
		text.append(emote_of(`:${m.emote}:`, m.emotes?.[0]?.url));
		return text;
	}
	const points = m.emotes ? [...m.text] : [];
	let at = 0;
	for (const { from, to, url } of m.emotes ?? []) {
		text.append(points.slice(at, from).join(''), emote_of(points.slice(from, to).join(''), url));
		at = to;
	}
	text.append(at ? points.slice(at).join('') : m.text);
	return text;
}

function plain(line) {
	return [...line.querySelector('.text').childNodes].map((n) => n.alt ?? n.textContent).join('');
}

function quote_of(id) {
	const quote = element('small', 'reply', `↪ ${plain(lines.get(id))}`);
	quote.dataset.of = id;
	return quote;
}

function line_of(m) {
	if (happened[m.type])
		return element('li', 'happened', happened[m.type](m));
	const line = element('li', 'said', '');
	const name = element('b', '', m.name ?? m.user);
	name.style.setProperty('color', colour(m.user));
	if (m.reply && lines.has(m.reply))
		line.append(quote_of(m.reply));
	for (const badge of [m.role, m.tier && 'sub', ...m.badges ?? []])
		if (badge && badge !== 'viewer')
			line.append(element('span', 'mark', badge));
	line.append(name, text_of(m));
	line.dataset.id = m.id;
	line.dataset.user = m.user;
	lines.set(m.id, line);
	return line;
}

function take_away(line) {
	lines.delete(line.dataset.id);
	line.remove();
	if (line === chosen)
		choose(null);
}

// Does it take away what this person said under this id?
function takes(m, id, user) {
	switch (m.type) {
	case 'delete':
		return id === m.target;
	case 'ban': case 'timeout':
		return user === m.user;
	default: // what is no longer known may have been taken away
		return m.type === 'clear' || m.type === 'missed';
	}
}

function moderate(m) {
	for (const line of [...$('talk').children].filter((l) => takes(m, l.dataset.id, l.dataset.user))) {
		for (const quote of $('talk').querySelectorAll('.reply'))
			if (quote.dataset.of === line.dataset.id)
				quote.textContent = '↪ …';
		take_away(line);
	}
}

function show() {
	drawn = 0;
	const talk = $('talk');
	const low = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
	for (const m of queue.splice(0)) {
		moderate(m);
		if (m.type !== 'delete')
			talk.append(line_of(m));
	}
	while (talk.childElementCount > KEEP)
		take_away(talk.firstElementChild);
	if (low)
		talk.scrollTop = talk.scrollHeight;
	$('newer').hidden = low || talk.scrollHeight <= talk.clientHeight;
}

function later(m) {
	queue.push(m);
	if (queue.length > 2 * KEEP) // nobody looks at this page
		show();
	else
		drawn ||= requestAnimationFrame(show);
}

// For moderators: what waits for them, each with its own two buttons.
function hold(m) {
	if (document.querySelector(`#held [data-id="${CSS.escape(m.id)}"]`))
		return;
	const line = element('li', '', '');
	line.dataset.id = m.id;
	line.dataset.user = m.user;
	line.append(element('b', '', m.name ?? m.user), element('span', 'text', m.text));
	for (const [act, label] of [['approve', 'Let through'], ['deny', 'No']]) {
		const button = element('button', '', label);
		button.type = 'button';
		button.dataset.act = act;
		line.append(button);
	}
	$('held').append(line);
	$('held').hidden = false;
}

function unhold(test) {
	for (const line of [...$('held').children].filter(test))
		line.remove();
	$('held').hidden = !$('held').childElementCount;
}

function hint(text) {
	$('hint').textContent = text;
}

function pin(m) {
	pinned = m ?? null;
	$('pin').hidden = !m;
	$('pinned').replaceChildren(...!m ? [] : happened[m.type] ? [happened[m.type](m)] : [`${m.name ?? m.user}: `, text_of(m)]);
}

function modes(m) {
	slow = m.slow;
	const on = [m.slow > 0 && `slow: ${m.slow} s`, m.followers >= 0 && 'followers', m.subs && 'subscribers', m.emote && 'emotes',
		m.unique && 'no repetitions', m.links && m.links !== 'all' && 'no links'].filter(Boolean);
	$('modes').textContent = on.join(', ');
}

// Too fast: the button counts down to when it would be taken.
function wait(ms) {
	const until = performance.now() + ms;
	const tick = () => {
		const left = Math.ceil((until - performance.now()) / 1000);
		$('send').disabled = left > 0;
		$('send').textContent = left > 0 ? `${left} s` : 'Send';
		if (left > 0)
			setTimeout(tick, 250);
	};
	tick();
}

// What was not taken is there to be said again.
function give_back(o) {
	if ($('text').value)
		return;
	$('text').value = o.text;
	answering = o.reply ?? '';
}

function answered(m) {
	const o = unanswered.get(m.ref);
	unanswered.delete(m.ref);
	if (o && (m.type === 'slowmode' || m.type === 'notice') && m.notice !== 'held' && m.notice !== 'duplicate')
		give_back(o);
}

// It is not known whether these arrived; the server takes each once.
function say_again() {
	for (const o of unanswered.values()) {
		if (Date.now() - o.at < AGAIN_MS) {
			socket.send(o.said);
			continue;
		}
		unanswered.delete(o.ref);
		give_back(o);
	}
}

function heard(m) {
	heard_at = Date.now();
	if (m.id && m.type !== 'notice' && m.type !== 'held') // those may be older than what follows
		offset = m.id;
	if (m.ref)
		answered(m);
	switch (m.type) {
	case 'joined':
		failures = 0;
		unhold(() => true); // those that still wait come again
		if (m.recovered === false)
			later({ type: 'missed' });
		if (m.recovered !== true)
			offset = m.offset ?? offset;
		modes(m);
		pin(m.pin);
		$('watching').textContent = m.viewers ?? '';
		hint('');
		break;
	case 'welcome':
		me = m;
		$('chat').dataset.role = m.role ?? 'viewer';
		$('text').disabled = $('send').disabled = false;
		$('text').placeholder = `Say something, ${m.name ?? m.user}`;
		say_again();
		break;
	case 'viewers':
		$('watching').textContent = m.count;
		break;
	case 'slowmode':
		wait(m.waitMs);
		break;
	case 'notice':
		if (m.notice === 'token_refused' || m.notice === 'token_expired') {
			token = '';
			if (m.notice === 'token_expired') // a refused one may be good in another room
				sessionStorage.removeItem('lv-token');
		}
		hint(m.message ?? m.notice);
		break;
	case 'modes':
		modes(m);
		break;
	case 'pin':
		pin(m.message);
		break;
	case 'unpin':
		pin(null);
		break;
	case 'held':
		hold(m);
		break;
	case 'deny': case 'expired':
		unhold((l) => l.dataset.id === m.target);
		break;
	case 'message': case 'emote': case 'delete': case 'clear': case 'ban': case 'timeout': case 'sub': case 'gift': case 'raid':
		if ($('held').childElementCount)
			unhold((l) => l.dataset.id === m.held || takes(m, l.dataset.id, l.dataset.user));
		if (pinned && takes(m, pinned.id, pinned.user))
			pin(null);
		if (slow > 0 && me?.role === 'viewer' && m.user === me.user && (m.type === 'message' || m.type === 'emote') && Date.now() - m.ts < 2000)
			wait(m.ts + slow * 1000 - Date.now());
		later(m);
	}
}

function enter() {
	const ask = new URLSearchParams({ stream: $('chat').dataset.stream });
	if (offset)
		ask.set('offset', offset);
	socket = new WebSocket(`${address}?${ask}`);
	socket.onopen = () => { if (token) say({ type: 'auth', token }); };
	socket.onmessage = (event) => heard(JSON.parse(event.data));
	socket.onclose = (event) => {
		let advice = {};
		try {
			advice = JSON.parse(event.reason || '{}');
		} catch { /* words of a proxy */ }
		me = null;
		$('text').disabled = $('send').disabled = true;
		if (event.code === 4401 && !token) { // who is not let in does not knock for ever
			hint('This chat is for those whom a link of the site logs in.');
			return;
		}
		hint('The chat is away; it comes back by itself.');
		coming = setTimeout(enter, advice.retryMs ?? Math.random() * Math.min(30000, 1000 * 2 ** failures++));
	};
}

// After a sleep, or in another network, the old connection may be gone without a word: the new one goes on
// where it was.
function awake() {
	if (document.hidden || Date.now() - heard_at < QUIET_MS || socket?.readyState === WebSocket.CONNECTING)
		return;
	if (socket) {
		socket.onclose = socket.onmessage = null;
		socket.close();
	}
	clearTimeout(coming);
	heard_at = Date.now();
	enter();
}

function say(o) {
	const asked = { ...o, ref: `${page}-${++ref}` };
	if (socket?.readyState !== WebSocket.OPEN)
		return;
	if (o.type === 'message')
		unanswered.set(asked.ref, { ...asked, said: JSON.stringify(asked), at: Date.now() });
	socket.send(JSON.stringify(asked));
}

function choose(line) {
	chosen?.classList.remove('chosen');
	chosen = line;
	chosen?.classList.add('chosen');
	$('acts').hidden = !chosen;
}

const acts = {
	reply: () => {
		answering = chosen.dataset.id;
		hint(`An answer to ${chosen.querySelector('b').textContent}`);
		$('text').focus();
	},
	delete: () => say({ type: 'delete', id: chosen.dataset.id }),
	pin: () => say({ type: 'pin', id: chosen.dataset.id }),
	timeout: () => say({ type: 'timeout', user: chosen.dataset.user, seconds: 600 }),
	ban: () => say({ type: 'ban', user: chosen.dataset.user }),
};

function wire() {
	document.addEventListener('visibilitychange', awake);
	window.addEventListener('online', awake);
	window.addEventListener('pageshow', (event) => { if (event.persisted) awake(); });
	let ticked = Date.now();
	setInterval(() => { // the machine itself slept
		if (Date.now() - ticked > 3 * QUIET_MS)
			awake();
		ticked = Date.now();
	}, QUIET_MS);
	$('say').addEventListener('submit', (event) => {
		event.preventDefault();
		const text = $('text').value.trim();
		if (!text || !me)
			return;
		say({ type: 'message', text, ...answering && { reply: answering } });
		$('text').value = answering = '';
		hint('');
	});
	$('talk').addEventListener('click', (event) => {
		const line = event.target.closest('.said');
		if (me)
			choose(line === chosen ? null : line);
	});
	$('acts').addEventListener('click', (event) => {
		const act = acts[event.target.dataset.act];
		if (act && chosen) {
			act();
			choose(null);
		}
	});
	$('unpin').addEventListener('click', () => say({ type: 'unpin' }));
	$('held').addEventListener('click', (event) => {
		const type = event.target.dataset.act;
		if (type)
			say({ type, id: event.target.closest('li').dataset.id });
	});
	$('newer').addEventListener('click', () => { $('talk').scrollTop = $('talk').scrollHeight; $('newer').hidden = true; });
	$('talk').addEventListener('scroll', () => {
		if ($('talk').scrollHeight - $('talk').scrollTop - $('talk').clientHeight < 60)
			$('newer').hidden = true;
	}, { passive: true });
}

// where: a path here, :PORT of this host, or the whole address.
export function chat(stream, where) {
	address = socket_of(where, 'chat');
	$('chat').dataset.stream = stream;
	$('chat').hidden = false;
	document.body.classList.add('talks');
	token = take_token();
	wire();
	enter();
	notify(where, stream);
}
