/*
 * rtmp-load publishes one FLV file over and over from many connections at once, as fast as it plays:
 *   rtmp-load [-t SECONDS] [-k KEYS] [-r MS] [-a TIMES] [-w MS] [-s MS] [-c BYTES] [-S SEED] [-v]
 *             [-f FAULT[=VALUE]@MS[-MS]]… FILE PORT APP [KEY]…
 *   -t  for so long after the last one has begun (10)   -k  a file with a key a line
 *   -r  all begin within so long (0)                    -a  who is lost or refused comes back so often (0)
 *   -w  after waiting so long (0)                       -s  the first timestamp (0)
 *   -c  its chunk size (4096)                           -S  for what is random (1)
 *   -v  says what the server said
 * It speaks to 127.0.0.1, or to LOAD_HOST.  A fault comes once a connection, so long after its beginning:
 *   jump, jump-audio, jump-video=MS   timestamps are so far away from there on
 *   reset         they begin at 0 again               drift=PPM    they run so much too fast
 *   stall=MS      nothing is sent, then all at once   lose=MS      nothing is sent, and it is lost
 *   mute, blind   no more audio, no more video        cts=MS       composition times are so far off
 *   no-extended   fmt 3 chunks leave the extended timestamp out
 *   bytes         a segment each byte                 bad-size     a message that shrinks in the middle
 *   half-close    no more is sent, with a FIN         silence      without one; the connection stays
 *   die           reset in the middle of a tag        leave        as a publisher should
 * At the end one line of JSON: sessions that began, were refused and lost; bytes; how late it was with a
 * tag at most; how long an answer to publish took at most, from the first SYN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amf.h"
#include "chunk.h"
#include "clock.h"
#include "flv.h"

#define TICK_MS 5
#define SHAKE 1536
#define FAULTS 16
#define BACKLOG_MAX (16 << 20)

enum { CSID_CONTROL = 2, CSID_COMMAND = 3, CSID_AUDIO = 4, CSID_VIDEO = 6, CSIDS = 8 };

enum what { JUMP, JUMP_AUDIO, JUMP_VIDEO, RESET, DRIFT, STALL, LOSE, MUTE, BLIND, CTS, NO_EXTENDED, BYTES, BAD_SIZE, HALF_CLOSE,
	SILENCE, DIE, LEAVE };
static const char *const names[] = { "jump", "jump-audio", "jump-video", "reset", "drift", "stall", "lose", "mute", "blind",
	"cts", "no-extended", "bytes", "bad-size", "half-close", "silence", "die", "leave", NULL };

static struct fault {
	enum what what;
	int64_t value, from, to;
} faults[FAULTS];
static int nfaults;

static struct tag {
	uint8_t type;
	int64_t dts;
	uint8_t *data;
	size_t size;
} *tags;
static size_t ntags;
static int64_t clip_ms;

enum state { WAITS, CONNECTS, SHAKES, ASKS, LIVE, QUIET, OVER };

static struct publisher {
	enum state state;
	const char *key;
	int fd, again;
	int64_t begins, asked, zero; /* when it connects, did, and was let in */
	uint8_t shake[1 + 2 * SHAKE];
	size_t shaken;
	struct chunk_reader in;
	struct buf out;
	size_t at;     /* the next tag */
	int64_t loops; /* ms of the clip, played so far */
	int64_t due[FAULTS], shift[2], hold, lose, cts;
	double drift;
	bool no_extended, bytes, mute, blind, open[CSIDS];
	uint32_t stamp[CSIDS];
} *pubs;
static int npubs;

static const char *app;
static int port, epoll, seconds = 10, again, wait_ms, ramp_ms, chunk_size = 4096, verbose;
static int64_t first_stamp;
static int64_t began, refused, lost, sent, late_ms, answer_ms;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the file ---- */

static void
load(const char *path)
{
	struct flv_reader *r;
	struct flv_tag t;
	uint8_t block[65536];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		fail(path);
	flv_reader_new(&r, FLV_TAG_MAX);
	while ((n = fread(block, 1, sizeof(block), f)) > 0) {
		flv_reader_feed(r, block, n);
		while (flv_reader_next(r, &t) > 0) {
			tags = realloc(tags, (ntags + 1) * sizeof(*tags));
			tags[ntags] = (struct tag){ t.type, t.dts, malloc(t.size), t.size };
			memcpy(tags[ntags++].data, t.data, t.size);
		}
	}
	fclose(f);
	flv_reader_free(&r);
	if (!ntags)
		exit(fprintf(stderr, "rtmp-load: no FLV in %s\n", path));
	clip_ms = tags[ntags - 1].dts + 33;
}

/* ---- what is said ---- */

static void
flush(struct publisher *p)
{
	ssize_t n;

	while (buf_len(&p->out)) {
		n = send(p->fd, buf_data(&p->out), p->bytes ? 1 : buf_len(&p->out), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return; /* its end is told by what is read */
		sent += n;
		buf_consume(&p->out, (size_t)n);
	}
}

/* 5.3.1: fmt 0 first and where time goes back, then fmt 1, in chunks of our size. */
static void
put_message(struct publisher *p, unsigned csid, uint8_t type, uint32_t stream, uint32_t stamp, const uint8_t *body, size_t n)
{
	uint32_t delta = stamp - p->stamp[csid], time;
	unsigned fmt = p->open[csid] && delta < 0x800000 ? 1 : 0;
	uint8_t id[4];
	size_t part;

	time = fmt ? delta : stamp;
	p->open[csid] = true;
	p->stamp[csid] = stamp;
	buf_u8(&p->out, fmt << 6 | csid);
	buf_be24(&p->out, time < 0xffffff ? time : 0xffffff);
	buf_be24(&p->out, (uint32_t)n);
	buf_u8(&p->out, type);
	put_le32(id, stream);
	if (!fmt)
		buf_append(&p->out, id, 4);
	for (;;) {
		if (time >= 0xffffff)
			buf_be32(&p->out, time);
		part = n < (size_t)chunk_size ? n : (size_t)chunk_size;
		buf_append(&p->out, body, part);
		body += part;
		if (!(n -= part))
			return;
		buf_u8(&p->out, 3 << 6 | csid);
		if (p->no_extended)
			time = 0;
	}
}

static void
put_command(struct publisher *p, uint32_t stream, const char *name, int txn, const char *a, const char *b)
{
	struct buf body = { 0 };
	char url[256];

	amf_put_string(&body, name);
	amf_put_number(&body, txn);
	if (!strcmp(name, "connect")) {
		snprintf(url, sizeof(url), "rtmp://127.0.0.1:%d/%s", port, app);
		amf_put_object(&body);
		amf_put_key(&body, "app");
		amf_put_string(&body, app);
		amf_put_key(&body, "tcUrl");
		amf_put_string(&body, url);
		amf_put_key(&body, "flashVer");
		amf_put_string(&body, "rtmp-load");
		amf_put_end(&body);
	} else {
		amf_put_null(&body);
	}
	if (a)
		amf_put_string(&body, a);
	if (b)
		amf_put_string(&body, b);
	put_message(p, CSID_COMMAND, 20, stream, 0, buf_data(&body), buf_len(&body));
	buf_free(&body);
}

/* ---- a connection ---- */

static void
begin(struct publisher *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p };
	const char *host = getenv("LOAD_HOST");
	int one = 1;

	inet_pton(AF_INET, host ? host : "127.0.0.1", &to.sin_addr);
	if ((p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		fail("socket");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		fail("connect");
	epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &e);
	p->state = CONNECTS;
	p->asked = clock_mono_ms();
	p->shaken = 0;
	memset(p->open, 0, sizeof(p->open));
	p->shift[0] = p->shift[1] = first_stamp;
	p->hold = p->lose = p->cts = 0;
	p->drift = 0;
	p->no_extended = p->bytes = p->mute = p->blind = false;
	buf_clear(&p->out);
	chunk_init(&p->in, 1 << 20);
}

static void
end(struct publisher *p, bool reset)
{
	struct linger now = { 1, 0 };

	if (reset)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(p->fd);
	chunk_free(&p->in);
	p->state = p->again-- > 0 ? WAITS : OVER;
	p->begins = clock_mono_ms() + wait_ms;
}

static void
let_in(struct publisher *p)
{
	int64_t now = clock_mono_ms();
	int i;

	began++;
	if (now - p->asked > answer_ms)
		answer_ms = now - p->asked;
	p->state = LIVE;
	p->zero = now;
	p->at = 0;
	p->loops = 0;
	for (i = 0; i < nfaults; i++)
		p->due[i] = faults[i].from + (faults[i].to > faults[i].from ? random() % (faults[i].to - faults[i].from) : 0);
}

static void
hear_command(struct publisher *p, const struct chunk_message *m)
{
	struct amf_in in;
	struct amf_value v, o;
	const char *key;
	size_t len;
	char code[64] = "", text[256] = "";

	amf_begin(&in, m->body, m->size);
	if (amf_next(&in, &v) <= 0 || v.type != AMF_STRING || !amf_equal(v.str, v.len, "onStatus") ||
		amf_next(&in, &v) <= 0 || amf_next(&in, &v) <= 0 || amf_next(&in, &o) <= 0)
		return;
	while (amf_member(&in, &o, &key, &len, &v) > 0) {
		if (amf_equal(key, len, "code") && v.type == AMF_STRING)
			snprintf(code, sizeof(code), "%.*s", (int)v.len, v.str);
		if (amf_equal(key, len, "description") && v.type == AMF_STRING)
			snprintf(text, sizeof(text), "%.*s", (int)v.len, v.str);
	}
	if (verbose)
		fprintf(stderr, "%s: %s\n", code, text);
	if (!strcmp(code, "NetStream.Publish.Start") && p->state == ASKS)
		let_in(p);
	else if (p->state == ASKS)
		refused++;
}

static void
shake(struct publisher *p, const uint8_t *data, size_t n)
{
	size_t rest = sizeof(p->shake) - p->shaken, part = n < rest ? n : rest;
	uint8_t size[4];

	memcpy(p->shake + p->shaken, data, part);
	if ((p->shaken += part) < sizeof(p->shake))
		return;
	buf_append(&p->out, p->shake + 1, SHAKE); /* C2 */
	put_be32(size, (uint32_t)chunk_size);
	put_message(p, CSID_CONTROL, 1, 0, 0, size, 4);
	put_command(p, 0, "connect", 1, NULL, NULL);
	put_command(p, 0, "createStream", 2, NULL, NULL);
	put_command(p, 1, "publish", 3, p->key, "live");
	p->state = ASKS;
	flush(p);
	chunk_feed(&p->in, data + part, n - part);
}

static void
hear(struct publisher *p)
{
	struct chunk_message m;
	uint8_t data[16384];
	ssize_t n;

	while ((n = recv(p->fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		if (p->state == SHAKES)
			shake(p, data, (size_t)n);
		else
			chunk_feed(&p->in, data, (size_t)n);
		while (p->state > SHAKES && chunk_next(&p->in, &m) > 0)
			if (m.type == 20)
				hear_command(p, &m);
	}
	if (n < 0 && errno == EAGAIN)
		return;
	lost += p->state == LIVE;
	end(p, false);
}

static void
look(struct publisher *p, unsigned events)
{
	uint8_t c[1 + SHAKE] = { 3 };
	size_t i;

	if (p->state == CONNECTS && events & EPOLLOUT) {
		for (i = 9; i < sizeof(c); i++)
			c[i] = (uint8_t)random();
		buf_append(&p->out, c, sizeof(c));
		p->state = SHAKES;
	}
	flush(p);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		hear(p);
}

/* ---- media, and what is wrong with it ---- */

static uint32_t
stamp_of(const struct publisher *p, const struct tag *t, int64_t at)
{
	return (uint32_t)(at + (int64_t)((double)at * p->drift / 1e6) + p->shift[t->type == FLV_VIDEO]);
}

static void
put_tag(struct publisher *p, const struct tag *t, int64_t at)
{
	static uint8_t body[FLV_TAG_MAX];

	memcpy(body, t->data, t->size);
	if (p->cts && t->type == FLV_VIDEO && t->size > 5 && body[1] == 1)
		put_be24(body + 2, (get_be24(body + 2) + (uint32_t)p->cts) & 0xffffff);
	put_message(p, t->type == FLV_AUDIO ? CSID_AUDIO : CSID_VIDEO, t->type, 1, stamp_of(p, t, at), body, t->size);
}

/* Half a tag, and no more. */
static void
die(struct publisher *p)
{
	flush(p);
	put_tag(p, &tags[p->at], tags[p->at].dts + p->loops);
	buf_cut(&p->out, buf_len(&p->out) / 2);
	flush(p);
	lost++;
	end(p, true);
}

static void
bad_size(struct publisher *p)
{
	uint8_t head[] = { CSID_VIDEO, 0, 0, 0, 0, 0xff, 0xff, FLV_VIDEO, 1, 0, 0, 0 };
	static const uint8_t part[4096];
	uint8_t again_head[] = { 1 << 6 | CSID_VIDEO, 0, 0, 0, 0, 0, 8, FLV_VIDEO };

	buf_append(&p->out, head, sizeof(head));
	buf_append(&p->out, part, (size_t)chunk_size < sizeof(part) ? (size_t)chunk_size : sizeof(part));
	buf_append(&p->out, again_head, sizeof(again_head));
	flush(p);
	p->state = QUIET;
}

static void
leave(struct publisher *p)
{
	put_command(p, 0, "FCUnpublish", 4, p->key, NULL);
	put_command(p, 0, "deleteStream", 5, NULL, NULL);
	flush(p);
	end(p, false);
}

static void
do_fault(struct publisher *p, const struct fault *f, int64_t now)
{
	int64_t at = now - p->zero;

	switch (f->what) {
	case JUMP:
		p->shift[0] += f->value;
		p->shift[1] += f->value;
		break;
	case JUMP_AUDIO:
	case JUMP_VIDEO:
		p->shift[f->what == JUMP_VIDEO] += f->value;
		break;
	case RESET:
		p->shift[0] = p->shift[1] = -at;
		break;
	case DRIFT:
		p->drift = (double)f->value;
		break;
	case STALL:
		p->hold = now + f->value;
		break;
	case LOSE:
		p->lose = now + f->value;
		break;
	case CTS:
		p->cts = f->value;
		break;
	case MUTE:
		p->mute = true;
		break;
	case BLIND:
		p->blind = true;
		break;
	case NO_EXTENDED:
		p->no_extended = true;
		break;
	case BYTES:
		p->bytes = true;
		break;
	case BAD_SIZE:
		bad_size(p);
		break;
	case HALF_CLOSE:
		flush(p);
		shutdown(p->fd, SHUT_WR);
		p->state = QUIET;
		break;
	case SILENCE: /* its descriptor stays open: nobody is told */
		epoll_ctl(epoll, EPOLL_CTL_DEL, p->fd, NULL);
		p->fd = -1;
		end(p, false);
		break;
	case DIE:
		die(p);
		break;
	case LEAVE:
		leave(p);
		break;
	}
}

static void
play(struct publisher *p, int64_t now)
{
	const struct tag *t;
	int64_t at;
	int i;

	for (i = 0; i < nfaults && p->state == LIVE; i++)
		if (p->due[i] >= 0 && now - p->zero >= p->due[i]) {
			p->due[i] = -1;
			do_fault(p, &faults[i], now);
		}
	while (p->state == LIVE && now >= p->hold && (t = &tags[p->at])->dts + p->loops <= now - p->zero) {
		at = t->dts + p->loops;
		if (now - p->zero - at > late_ms && !p->hold)
			late_ms = now - p->zero - at;
		if (now >= p->lose && !(t->type == FLV_AUDIO && p->mute) && !(t->type == FLV_VIDEO && p->blind))
			put_tag(p, t, at);
		if (++p->at == ntags) {
			p->at = 0;
			p->loops += clip_ms;
		}
	}
	if (buf_len(&p->out) > BACKLOG_MAX)
		exit(fprintf(stderr, "rtmp-load: the server does not read what %s sends\n", p->key));
	if (p->state == LIVE)
		flush(p);
}

/* ---- all of them ---- */

static void
take_fault(const char *text)
{
	struct fault *f = &faults[nfaults++];
	size_t n = strcspn(text, "=@");
	char *end = (char *)text + n;

	while (names[f->what] && (strlen(names[f->what]) != n || strncmp(names[f->what], text, n)))
		f->what++;
	if (nfaults == FAULTS || !names[f->what])
		exit(fprintf(stderr, "rtmp-load: no such fault: %s\n", text));
	if (*end == '=')
		f->value = strtoll(end + 1, &end, 10);
	if (*end == '@')
		f->from = f->to = strtoll(end + 1, &end, 10);
	if (*end == '-')
		f->to = strtoll(end + 1, &end, 10);
	if (*end)
		exit(fprintf(stderr, "rtmp-load: a fault is NAME=VALUE@MS-MS, not %s\n", text));
}

static void
add(const char *key)
{
	pubs = realloc(pubs, (size_t)(npubs + 1) * sizeof(*pubs));
	memset(&pubs[npubs], 0, sizeof(*pubs));
	pubs[npubs++].key = strdup(key);
}

static void
add_keys(const char *path)
{
	char line[512];
	FILE *f = fopen(path, "r");

	if (!f)
		fail(path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line)
			add(line);
	}
	fclose(f);
}

static bool
turn(int64_t *until)
{
	struct epoll_event events[256];
	int64_t now = clock_mono_ms();
	int i, n = epoll_wait(epoll, events, 256, (int)(TICK_MS - now % TICK_MS)), over = 0, waiting = 0;

	for (i = 0; i < n; i++)
		look(events[i].data.ptr, events[i].events);
	now = clock_mono_ms();
	for (i = 0; i < npubs; i++) {
		struct publisher *p = &pubs[i];

		if (p->state == WAITS && now >= p->begins)
			begin(p);
		if (p->state == LIVE)
			play(p, now);
		over += p->state == OVER;
		waiting += p->state < LIVE;
	}
	if (waiting)
		*until = 0;
	else if (!*until)
		*until = now + seconds * 1000LL;
	return over < npubs && (!*until || now < *until);
}

static void
report(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("{\"publishers\":%d,\"began\":%" PRId64 ",\"refused\":%" PRId64 ",\"lost\":%" PRId64 ",\"bytes\":%" PRId64
		",\"late_ms\":%" PRId64 ",\"answer_ms\":%" PRId64 ",\"cpu_ms\":%ld}\n",
		npubs, began, refused, lost, sent, late_ms, answer_ms,
		(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000L + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000);
}

int
main(int argc, char **argv)
{
	int64_t until = 0, now;
	int c, i;

	while ((c = getopt(argc, argv, "t:k:r:a:w:s:c:S:vf:")) != -1)
		switch (c) {
		case 't': seconds = (int)strtol(optarg, NULL, 10); break;
		case 'k': add_keys(optarg); break;
		case 'r': ramp_ms = (int)strtol(optarg, NULL, 10); break;
		case 'a': again = (int)strtol(optarg, NULL, 10); break;
		case 'w': wait_ms = (int)strtol(optarg, NULL, 10); break;
		case 's': first_stamp = strtoll(optarg, NULL, 10); break;
		case 'c': chunk_size = (int)strtol(optarg, NULL, 10); break;
		case 'S': srandom((unsigned)strtoul(optarg, NULL, 10)); break;
		case 'v': verbose = 1; break;
		case 'f': take_fault(optarg); break;
		default: return 64;
		}
	if (argc - optind < 3 || chunk_size < 1) {
		fprintf(stderr, "usage: rtmp-load [OPTION]... FILE PORT APP [KEY]...\n");
		return 64;
	}
	load(argv[optind]);
	port = (int)strtol(argv[optind + 1], NULL, 10);
	app = argv[optind + 2];
	for (i = optind + 3; i < argc; i++)
		add(argv[i]);
	if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		fail("epoll");
	now = clock_mono_ms();
	for (i = 0; i < npubs; i++) {
		pubs[i].begins = now + (int64_t)ramp_ms * i / npubs;
		pubs[i].again = again;
	}
	while (turn(&until))
		;
	for (i = 0; i < npubs; i++)
		if (pubs[i].state == LIVE)
			leave(&pubs[i]);
	report();
	return 0;
}
