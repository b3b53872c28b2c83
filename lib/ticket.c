#include "ticket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>

#include "names.h"
#include "text.h"

struct ticket_key {
	jwt_alg_t alg;
	int size;
	unsigned char bytes[]; /* with a NUL behind, which PEM reading wants */
};

static const char *const roles[] = { "viewer", "mod", "owner", "service" };

const char *
ticket_role_text(enum ticket_role role)
{
	return roles[role];
}

int
ticket_role(const char *text)
{
	return NAMES_FIND(roles, text);
}

bool
ticket_word_good(const char *s, size_t n, size_t max)
{
	return n && n <= max && text_plain(s, n);
}

int
ticket_key_new(struct ticket_key **out, const void *bytes, size_t n)
{
	static const char pem[] = "-----BEGIN ";
	const char *text = bytes;
	struct ticket_key *k;
	bool es = n >= sizeof(pem) && !memcmp(bytes, pem, sizeof(pem) - 1);

	while (!es && n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--; /* an editor's newline is no part of a secret */
	if (n > TICKET_KEY_MAX || (!es && n < TICKET_SECRET_MIN))
		return -EINVAL;
	if (!(k = calloc(1, sizeof(*k) + n + 1)))
		return -ENOMEM;
	k->alg = es ? JWT_ALG_ES256 : JWT_ALG_HS256;
	k->size = (int)n;
	memcpy(k->bytes, bytes, n);
	*out = k;
	return 0;
}

void
ticket_key_free(struct ticket_key **k)
{
	if (*k)
		explicit_bzero((*k)->bytes, (size_t)(*k)->size);
	free(*k);
	*k = NULL;
}

static bool
copy_word(char *to, size_t max, const json_t *from)
{
	const char *s = json_string_value(from);
	size_t n = json_string_length(from);

	if (!s || !ticket_word_good(s, n, max))
		return false;
	memcpy(to, s, n + 1);
	return true;
}

/* aud is a string or a list of them (RFC 7519, 4.1.3). */
static bool
audience_is(const json_t *aud, const char *want)
{
	const char *s;
	size_t i;

	if (json_is_array(aud)) {
		for (i = 0; i < json_array_size(aud); i++)
			if ((s = json_string_value(json_array_get(aud, i))) && !strcmp(s, want))
				return true;
		return false;
	}
	return (s = json_string_value(aud)) && !strcmp(s, want);
}

/* Unix seconds; an absent claim is *out = 0 and fine, another kind of value is not. */
static bool
seconds(const json_t *claim, int64_t *out)
{
	*out = json_integer_value(claim);
	return !claim || (json_is_integer(claim) && *out >= 0);
}

static const char *
claims_take(struct ticket *t, const json_t *claims, const char *audience, int64_t now_s)
{
	const json_t *badges = json_object_get(claims, "badges");
	const char *text;
	int64_t nbf, iat, tier;
	int role;

	if (!seconds(json_object_get(claims, "exp"), &t->exp_s) || !t->exp_s)
		return "it has no end";
	if (t->exp_s <= now_s - TICKET_SKEW_S)
		return "it is over";
	if (!seconds(json_object_get(claims, "nbf"), &nbf) ||
		!seconds(json_object_get(claims, "iat"), &iat) || nbf > now_s + TICKET_SKEW_S ||
		iat > now_s + TICKET_SKEW_S)
		return "it is not good yet";
	text = json_string_value(json_object_get(claims, "iss"));
	if (!text || strcmp(text, TICKET_ISSUER))
		return "it is from somebody else";
	if (!audience_is(json_object_get(claims, "aud"), audience))
		return "it is for somebody else";
	if (!copy_word(t->user, TICKET_USER_MAX, json_object_get(claims, "sub")))
		return "it names nobody";
	if (!copy_word(t->stream, TICKET_STREAM_MAX, json_object_get(claims, "stream")))
		return "it names no stream";
	if (!copy_word(t->name, TICKET_NAME_MAX, json_object_get(claims, "name"))) {
		if (json_object_get(claims, "name"))
			return "its name cannot be shown";
		memcpy(t->name, t->user, text_cut(t->user, strlen(t->user), TICKET_NAME_MAX));
	}
	if (json_object_get(claims, "role")) {
		text = json_string_value(json_object_get(claims, "role"));
		if (!text || (role = ticket_role(text)) < 0)
			return "its role is unknown";
		t->role = (enum ticket_role)role;
	}
	if (badges && (!json_is_array(badges) || json_array_size(badges) > TICKET_BADGES))
		return "its badges are no short list";
	for (; t->badge_count < json_array_size(badges); t->badge_count++)
		if (!copy_word(t->badges[t->badge_count], TICKET_BADGE_MAX,
			    json_array_get(badges, t->badge_count)))
			return "a badge of it cannot be shown";
	if (!seconds(json_object_get(claims, "tier"), &tier) || tier > 100 ||
		!seconds(json_object_get(claims, "followed_at"), &t->followed_s))
		return "its tier or its date of following is no number";
	t->tier = (int)tier;
	return NULL;
}

/* libjwt 1.10 believes the token's own choice of algorithm and ignores times: both are seen to here. */
int
ticket_read(struct ticket *out, const struct ticket_key *key, const char *text, size_t n,
	const char *audience, int64_t now_s, const char **why)
{
	char token[TICKET_TEXT_MAX + 1], *grants = NULL, *crit = NULL;
	json_t *claims = NULL;
	struct ticket t = { 0 };
	jwt_t *jwt = NULL;

	*why = "it is no token of ours";
	if (!n || n > TICKET_TEXT_MAX || memchr(text, '\0', n))
		return -EACCES;
	memcpy(token, text, n);
	token[n] = '\0';
	if (jwt_decode(&jwt, token, key->bytes, key->size) || !jwt)
		goto out;
	if (jwt_get_alg(jwt) != key->alg)
		goto out;
	if ((crit = jwt_get_headers_json(jwt, "crit")))
		goto out;
	if (!(grants = jwt_get_grants_json(jwt, NULL)) || !(claims = json_loads(grants, 0, NULL)))
		goto out;
	if (!(*why = claims_take(&t, claims, audience, now_s)))
		*out = t;
out:
	json_decref(claims);
	free(grants);
	free(crit);
	jwt_free(jwt);
	return *why ? -EACCES : 0;
}

static json_t *
claims_make(const struct ticket *t, const char *audience, int64_t now_s)
{
	json_t *badges = json_array(), *claims;
	size_t i;

	for (i = 0; i < t->badge_count; i++)
		json_array_append_new(badges, json_string(t->badges[i]));
	claims = json_pack("{ss ss ss ss ss sI sI so}", "iss", TICKET_ISSUER, "aud", audience, "sub",
		t->user, "stream", t->stream, "role", roles[t->role], "iat", (json_int_t)now_s, "exp",
		(json_int_t)t->exp_s, "badges", badges);
	if (claims && *t->name)
		json_object_set_new(claims, "name", json_string(t->name));
	if (claims && t->tier)
		json_object_set_new(claims, "tier", json_integer(t->tier));
	if (claims && t->followed_s)
		json_object_set_new(claims, "followed_at", json_integer(t->followed_s));
	return claims;
}

int
ticket_write(struct buf *out, const struct ticket_key *key, const struct ticket *t,
	const char *audience, int64_t now_s)
{
	json_t *claims = claims_make(t, audience, now_s);
	char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL, *token = NULL;
	jwt_t *jwt = NULL;
	int r = -ENOMEM;

	if (!text || jwt_new(&jwt))
		goto out;
	r = -EINVAL;
	if (jwt_add_grants_json(jwt, text) || jwt_set_alg(jwt, key->alg, key->bytes, key->size) ||
		!(token = jwt_encode_str(jwt)))
		goto out;
	r = strlen(token) > TICKET_TEXT_MAX ? -EMSGSIZE : buf_append(out, token, strlen(token));
out:
	jwt_free(jwt);
	free(token);
	free(text);
	json_decref(claims);
	return r;
}
