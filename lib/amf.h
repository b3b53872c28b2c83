/*
 * amf reads and writes AMF0 values, the language of RTMP commands and FLV script tags.
 *
 * Shape:  amf_in over borrowed bytes; amf_next gives one value.  A container (object, ECMA array,
 *         strict array) is opened, not read: walk it with amf_member until 0, or amf_skip it.
 *         A member that is a container has to be walked or skipped before the next amf_member.
 * Owner:  strings point into the borrowed bytes and carry no NUL.
 * Errors: 1 for a value, 0 at the end, -EBADMSG for malformed bytes, -ELOOP and -E2BIG past
 *         AMF_DEPTH nested containers and AMF_NODES values.
 * Spec:   AMF 0 (Adobe, 2007), section 2.  An object that ends without its end mark is taken as
 *         ended: some hardware encoders never write it.
 */
#ifndef LV_AMF_H
#define LV_AMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define AMF_DEPTH 16
#define AMF_NODES 1024

enum amf_type {
	AMF_NUMBER = 0,
	AMF_BOOLEAN = 1,
	AMF_STRING = 2, /* long strings and XML documents too */
	AMF_OBJECT = 3,
	AMF_NULL = 5,
	AMF_UNDEFINED = 6, /* references and "unsupported" too */
	AMF_ECMA_ARRAY = 8,
	AMF_STRICT_ARRAY = 10,
	AMF_DATE = 11, /* number holds ms since 1970 */
};

struct amf_in {
	const uint8_t *at, *end;
	int nodes;
};

struct amf_value {
	enum amf_type type;
	double number;
	bool boolean;
	const char *str;
	size_t len;
	uint32_t left; /* strict array: members still to come */
	bool ended;    /* container: walked to its end */
};

void amf_begin(struct amf_in *, const void *, size_t);
int amf_next(struct amf_in *, struct amf_value *);
bool amf_is_container(const struct amf_value *);
int amf_member(struct amf_in *, struct amf_value *container, const char **key, size_t *key_len,
	struct amf_value *member);
int amf_skip(struct amf_in *, struct amf_value *); /* 0; no-op for what is not a container */
bool amf_equal(const char *s, size_t len, const char *text);

/* Writers append one value; members of an object are a key, then a value, then amf_end. */
void amf_put_number(struct buf *, double);
void amf_put_boolean(struct buf *, bool);
void amf_put_string(struct buf *, const char *);
void amf_put_stringn(struct buf *, const char *, size_t); /* a long string where it has to be */
void amf_put_null(struct buf *);
void amf_put_object(struct buf *);
void amf_put_ecma_array(struct buf *, uint32_t count);
void amf_put_key(struct buf *, const char *);
void amf_put_end(struct buf *);

#endif
