/* Keepers that died unheard, of which there is a note; and broadcasts that are over for good. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "keepers.h"
#include "local.h"
#include "note.h"

#define STALE_MS 60000 /* a keeper that died before that, and before the grace, is not replaced */
#define ENDED 1024     /* the last broadcasts that ended */
#define TOLD_MS 600000 /* how long ago, that a new coprocess still hears of it */

static struct keeper *dead;
static struct {
	char broadcast[27];
	int64_t at_ms;
} ended[ENDED]; /* a ring */
static unsigned nended;

bool
ended_has(const char *broadcast)
{
	unsigned i;

	for (i = 0; i < ENDED && i < nended; i++)
		if (!strcmp(ended[i].broadcast, broadcast))
			return true;
	return false;
}

void
ended_add(const char *broadcast)
{
	unsigned at = nended++ % ENDED;

	snprintf(ended[at].broadcast, sizeof(ended[at].broadcast), "%s", broadcast);
	ended[at].at_ms = clock_mono_ms();
}

void
ended_not(const char *broadcast)
{
	unsigned i;

	for (i = 0; i < ENDED && i < nended; i++)
		if (!strcmp(ended[i].broadcast, broadcast))
			*ended[i].broadcast = '\0';
}

void
ended_tell(void)
{
	unsigned i;

	for (i = 0; i < ENDED && i < nended; i++)
		if (*ended[i].broadcast && clock_mono_ms() - ended[i].at_ms < TOLD_MS)
			auth_notice("broadcast-ended", NULL, ended[i].broadcast);
}

/* One that we have not heard yet, perhaps: it has the stream, whatever it does there. */
static bool
is_kept(const char *stream)
{
	char path[sizeof(((struct keep_hello *)0)->run_dir) + 72];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.sock", door.run_dir, stream);
	if ((fd = local_connect(path, SOCK_SEQPACKET)) >= 0)
		close(fd);
	return fd >= 0;
}

/* Its keeper is dead: it waits to be seen to.  Where all was said, only lv-auth has to hear. */
static void
bury(const struct note *n, int64_t age_ms)
{
	struct keeper *k = n->begun && !n->over ? calloc(1, sizeof(*k)) : NULL;

	if (n->over && !ended_has(n->state.broadcast)) {
		ended_add(n->state.broadcast);
		auth_notice("broadcast-ended", NULL, n->state.broadcast);
	}
	if (!k)
		return;
	k->fd = -1;
	memcpy(&k->state, &n->state, n->state.version == KEEP_VERSION ? sizeof(k->state) : KEEP_HEAD);
	keeper_hello(&k->hello);
	keeper_name(&k->hello, &k->state);
	memcpy(k->hello.env, n->env, n->env_len);
	k->hello.env_len = n->env_len;
	if (age_ms > 0)
		k->hello.grace_ms = age_ms < door.grace_ms ? (uint32_t)(door.grace_ms - age_ms) : 0;
	k->stale = age_ms > STALE_MS && !k->hello.grace_ms;
	k->leaving = n->ending;
	k->next = dead;
	dead = k;
}

static void
revive(struct keeper *k)
{
	const struct keeper *now = keeper_find(k->hello.stream);
	bool other = now && strcmp(now->hello.broadcast, k->hello.broadcast) != 0, kept = now || is_kept(k->hello.stream);

	k->next = keepers;
	keepers = k;
	if (!kept && !k->stale && !ended_has(k->hello.broadcast)) {
		keeper_crashed(k);
		return;
	}
	keeper_say_ended(k, other || !kept);
	keeper_forget(k);
}

/* Broadcasts of keepers that died with their door, or before we heard them, go on or are ended. */
void
keepers_revive(void)
{
	struct keeper **at, *k;
	int r = notes_dead(door.run_dir, bury), ending;

	if (r < 0)
		complain(r, "cannot read %s", door.run_dir);
	/* First those that go on: the others may have made way for them. */
	for (ending = 0; ending < 2; ending++)
		for (at = &dead; (k = *at);)
			if (k->leaving == (ending != 0)) {
				*at = k->next;
				revive(k);
			} else {
				at = &k->next;
			}
}
