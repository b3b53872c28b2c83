// The chat of the sketch, as such chats are written on ws and redis: subscribe for every client;
// INCR, EXPIRE, XADD and PUBLISH for every message.  PORT and a Redis socket are its arguments.
import { WebSocketServer } from 'ws';
import { createClient } from 'redis';

const redis = createClient({ socket: { path: process.argv[3] } });
const sub = redis.duplicate();
await Promise.all([redis.connect(), sub.connect()]);

const wss = new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1' }, () => console.log('ready'));
wss.on('connection', async (ws, req) => {
	const stream = new URL(req.url, 'http://x').searchParams.get('stream');
	await sub.subscribe(`chat:${stream}`, (message) => ws.send(message));
	ws.send(JSON.stringify({ type: 'joined' }));
	ws.on('close', () => sub.unsubscribe(`chat:${stream}`));
	ws.on('message', async (data) => {
		const { userId, text } = JSON.parse(data);
		const limit = `chat_limit:${userId}:${stream}`;
		const n = await redis.incr(limit);
		if (n === 1) await redis.expire(limit, 5);
		if (n > 20) {
			ws.send(JSON.stringify({ type: 'slowmode', waitMs: 5000 }));
			return;
		}
		const message = { type: 'message', userId, text, timestamp: String(Date.now()) };
		await redis.xAdd(`stream_chat:${stream}`, '*', message, {
			TRIM: { strategy: 'MAXLEN', strategyModifier: '=', threshold: 1000 },
		});
		await redis.publish(`chat:${stream}`, JSON.stringify(message));
	});
});
