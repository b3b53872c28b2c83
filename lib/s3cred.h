/*
 * s3cred: the access key for S3, found where the tools of S3 keep it.
 *
 * Order:  the file given; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the
 *         environment; "s3" in $CREDENTIALS_DIRECTORY (systemd's LoadCredential); the file that
 *         AWS_SHARED_CREDENTIALS_FILE names, or ~/.aws/credentials.
 * Form:   of files: INI, "[profile]", then aws_access_key_id, aws_secret_access_key and
 *         aws_session_token; the profile is AWS_PROFILE, or "default".  Lines before the first
 *         profile count as well, so that a file may hold just the three lines.
 * Errors: -ENOENT nothing found, -EPERM a file that others may read, -EACCES one that we may not,
 *         -EBADMSG no key in it, or -errno; *where names the file, and the profile (it is s3cred's own, good until the next call).
 */
#ifndef LV_S3CRED_H
#define LV_S3CRED_H

#include <stddef.h>

struct s3cred {
	char id[129], secret[257], token[4097]; /* token: "" when there is none */
};

int s3cred_load(struct s3cred *, const char *file, const char **where);
int s3cred_parse(struct s3cred *, const char *text, const char *profile); /* no I/O */

#endif
