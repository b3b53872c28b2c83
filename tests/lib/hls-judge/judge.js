// judge.js URL: reads the master playlist there and all that it names with hls-parser in strict mode; a line
// of JSON for each, and the first fault ends it.
const HLS = require('hls-parser');

async function read(url) {
	const reply = await fetch(url);
	if (!reply.ok)
		throw new Error(`${url}: ${reply.status}`);
	try {
		return HLS.parse(await reply.text());
	} catch (error) {
		throw new Error(`${url}: ${error.message}`);
	}
}

async function judge(url) {
	const master = await read(url);
	const uris = new Set(master.variants.map((v) => v.uri));
	for (const v of master.variants)
		v.audio.forEach((a) => a.uri && uris.add(a.uri));
	for (const uri of uris) {
		const { segments, targetDuration } = await read(new URL(uri, url));
		console.log(JSON.stringify({ uri, segments: segments.length, targetDuration }));
	}
}

HLS.setOptions({ strictMode: true });
judge(process.argv[2]).catch((error) => {
	console.error(error.message);
	process.exitCode = 1;
});
