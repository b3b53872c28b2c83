#include "s3cred.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "file.h"
#include "whole.h"

#define FILE_MAX (64 << 10)

static char path[PATH_MAX], part[PATH_MAX + 64];

/* "name = value": 1 when the name is this one, the value copied; -EBADMSG when it is too long. */
static int
take(const char *line, size_t n, const char *name, char *to, size_t cap)
{
	size_t len = strlen(name), begin = len, end = n;

	if (n <= len || strncmp(line, name, len))
		return 0;
	while (begin < n && (line[begin] == ' ' || line[begin] == '\t'))
		begin++;
	if (begin == n || line[begin++] != '=')
		return 0;
	while (begin < n && (line[begin] == ' ' || line[begin] == '\t'))
		begin++;
	while (end > begin && (line[end - 1] == ' ' || line[end - 1] == '\t' || line[end - 1] == '\r'))
		end--;
	if (end - begin >= cap)
		return -EBADMSG;
	memcpy(to, line + begin, end - begin);
	to[end - begin] = '\0';
	return 1;
}

int
s3cred_parse(struct s3cred *c, const char *text, const char *profile)
{
	bool ours = true;
	size_t n;
	int r;

	memset(c, 0, sizeof(*c));
	for (; *text; text += n + (text[n] == '\n')) {
		text += strspn(text, " \t");
		n = strcspn(text, "\n");
		if (text[0] == '[') {
			const char *name = text + 1 + strspn(text + 1, " \t");
			size_t len = strcspn(name, "]\n");

			while (len && (name[len - 1] == ' ' || name[len - 1] == '\t'))
				len--;
			ours = len == strlen(profile) && !strncmp(name, profile, len);
		} else if (ours) {
			if ((r = take(text, n, "aws_access_key_id", c->id, sizeof(c->id))) < 0 ||
				(r = take(text, n, "aws_secret_access_key", c->secret, sizeof(c->secret))) < 0 ||
				(r = take(text, n, "aws_session_token", c->token, sizeof(c->token))) < 0)
				return r;
		}
	}
	return c->id[0] && c->secret[0] ? 0 : -EBADMSG;
}

static int
from_file(struct s3cred *c, const char **where)
{
	const char *profile = getenv("AWS_PROFILE");
	struct buf text = { 0 };
	char real[PATH_MAX];
	struct stat st;
	int r;

	if (!realpath(path, real) || stat(real, &st) < 0) /* it may be a link: it is the user's own */
		return -errno;
	if (!whole_private(real, &st) && st.st_uid == geteuid())
		return -EPERM;
	if ((r = file_get(AT_FDCWD, real, FILE_MAX, &text)) >= 0 && !(r = buf_u8(&text, 0)))
		r = s3cred_parse(c, (const char *)buf_data(&text), profile ? profile : "default");
	if (r == -EBADMSG && profile) {
		snprintf(part, sizeof(part), "profile %.50s of %s", profile, path);
		*where = part;
	}
	if (buf_data(&text))
		explicit_bzero(buf_data(&text), buf_len(&text));
	buf_free(&text);
	return r;
}

static int
from_environment(struct s3cred *c, const char *id)
{
	const char *secret = getenv("AWS_SECRET_ACCESS_KEY"), *token = getenv("AWS_SESSION_TOKEN");

	if (!secret || strlen(id) >= sizeof(c->id) || strlen(secret) >= sizeof(c->secret) ||
		(token && strlen(token) >= sizeof(c->token)))
		return -EBADMSG;
	strncpy(c->id, id, sizeof(c->id) - 1);
	strncpy(c->secret, secret, sizeof(c->secret) - 1);
	strncpy(c->token, token ? token : "", sizeof(c->token) - 1);
	return 0;
}

int
s3cred_load(struct s3cred *c, const char *file, const char **where)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID"), *folder = getenv("CREDENTIALS_DIRECTORY");
	const char *shared = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");

	memset(c, 0, sizeof(*c));
	*where = path;
	if (file) {
		snprintf(path, sizeof(path), "%s", file);
		return from_file(c, where);
	}
	if (id && *id) {
		*where = "the environment";
		return from_environment(c, id);
	}
	if (folder) {
		snprintf(path, sizeof(path), "%s/s3", folder);
		if (access(path, F_OK) == 0)
			return from_file(c, where);
	}
	if (shared)
		snprintf(path, sizeof(path), "%s", shared);
	else
		snprintf(path, sizeof(path), "%s/.aws/credentials", home ? home : "");
	return from_file(c, where);
}
