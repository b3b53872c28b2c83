// relay.js PORT EDGE: node-media-server, which pushes on to EDGE whatever is published to its app "live".
const { EventEmitter } = require('events');
require('https').get = () => new EventEmitter(); // it would ask for its newest version: nobody beyond this machine is spoken to
const NodeMediaServer = require('node-media-server');
const [port, edge] = process.argv.slice(2);

new NodeMediaServer({
	rtmp: { port: Number(port), chunk_size: 60000, gop_cache: true, ping: 30, ping_timeout: 60 },
	relay: { ffmpeg: '/usr/bin/ffmpeg', tasks: [{ app: 'live', mode: 'push', edge }] },
}).run();
