#include "notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "die.h"
#include "redis_url.h"

#define CONNECT_S 2
#define ANSWER_S 5
#define MARK_KEEP_S 86400 /* far beyond the age of what is still told */

static const char script[] =
	"local mark = redis.call('GET', KEYS[1]) or ''\n"
	"if mark ~= ARGV[1] then return 0 end\n"
	"for i = 6, #ARGV do\n"
	"	local inbox = 'inbox:' .. ARGV[i]\n"
	"	if redis.call('LPUSH', inbox, ARGV[3]) > tonumber(ARGV[4]) then\n"
	"		redis.call('LTRIM', inbox, 0, ARGV[4] - 1)\n"
	"	end\n"
	"	redis.call('EXPIRE', inbox, ARGV[5])\n"
	"	redis.call('PUBLISH', 'notify:' .. ARGV[i], ARGV[3])\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[2], 'EX', " /* MARK_KEEP_S */;

struct box {
	redisContext *c;
	char *password;
	struct redis_url url;
	char sha[41];
	char why[160];
};

int
box_new(struct box **out, const char *url, const char *password, const char **why)
{
	struct box *b;
	int r = -ENOMEM;

	*why = "";
	if ((b = calloc(1, sizeof(*b))) && (!password || (b->password = strdup(password))) &&
		(r = redis_url_read(&b->url, url, why)) == 0)
		*out = b;
	else
		box_free(&b);
	return r;
}

void
box_free(struct box **b)
{
	if (*b) {
		if ((*b)->c)
			redisFree((*b)->c);
		if ((*b)->password)
			explicit_bzero((*b)->password, strlen((*b)->password));
		free((*b)->password);
		redis_url_free(&(*b)->url);
		free(*b);
	}
	*b = NULL;
}

/* The connection is of no more use. */
static int
failed(struct box *b, const char *why)
{
	snprintf(b->why, sizeof(b->why), "%.*s", (int)strcspn(why, "\r\n"), why);
	if (b->c)
		redisFree(b->c);
	b->c = NULL;
	return -EIO;
}

static int
broken(struct box *b)
{
	return failed(b, b->c->err ? b->c->errstr : "no memory");
}

/* Takes r: 0 with what the answer says in text, or -EIO. */
static int
take(struct box *b, redisReply *r, char *text, size_t cap)
{
	int result = 0;

	if (!r)
		return broken(b);
	if (r->type == REDIS_REPLY_ERROR)
		result = failed(b, r->str);
	else if (text)
		snprintf(text, cap, "%s", r->type == REDIS_REPLY_STRING ? r->str : "");
	freeReplyObject(r);
	return result;
}

int
box_open(struct box *b)
{
	const struct timeval connect = { CONNECT_S, 0 }, answer = { ANSWER_S, 0 };
	char lua[sizeof(script) + 32];
	int r;

	if (b->c)
		return 0;
	b->c = b->url.path ? redisConnectUnixWithTimeout(b->url.path, connect) :
		redisConnectWithTimeout(b->url.host, b->url.port, connect);
	if (!b->c)
		return failed(b, "no memory");
	if (b->c->err)
		return broken(b);
	redisSetTimeout(b->c, answer);
	if (b->password && (r = take(b, redisCommand(b->c, "AUTH %s", b->password), NULL, 0)) < 0)
		return r;
	if (b->url.number && (r = take(b, redisCommand(b->c, "SELECT %d", b->url.number), NULL, 0)) < 0)
		return r;
	snprintf(lua, sizeof(lua), "%s%d) return 1", script, MARK_KEEP_S);
	return take(b, redisCommand(b->c, "SCRIPT LOAD %s", lua), b->sha, sizeof(b->sha));
}

int
box_mark(struct box *b, const char *broadcast, char mark[BOX_MARK])
{
	return take(b, redisCommand(b->c, "GET notified:%s", broadcast), mark, BOX_MARK);
}

int
box_tell(struct box *b, const char *broadcast, const char *from, const char *to, const char *message,
	const char *users, int count)
{
	const char **argv = calloc((size_t)count + 9, sizeof(*argv));
	char key[64], keep[16], keep_s[16];
	int i, r;

	if (!argv)
		return failed(b, "no memory");
	snprintf(key, sizeof(key), "notified:%s", broadcast);
	snprintf(keep, sizeof(keep), "%d", BOX_KEEP);
	snprintf(keep_s, sizeof(keep_s), "%d", BOX_KEEP_S);
	memcpy(argv, (const char *[]){ "EVALSHA", b->sha, "1", key, from, to, message, keep, keep_s },
		9 * sizeof(*argv));
	for (i = 0; i < count; i++, users += strlen(users) + 1)
		argv[9 + i] = users;
	r = redisAppendCommandArgv(b->c, count + 9, argv, NULL);
	free(argv);
	return r == REDIS_OK ? 0 : broken(b);
}

int
box_told(struct box *b)
{
	redisReply *r;
	int told;

	if (redisGetReply(b->c, (void **)&r) != REDIS_OK)
		return broken(b);
	told = r->type == REDIS_REPLY_INTEGER && r->integer;
	if (r->type == REDIS_REPLY_ERROR)
		told = failed(b, r->str);
	freeReplyObject(r);
	return told;
}

const char *
box_why(const struct box *b)
{
	return b->why;
}
