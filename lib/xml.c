#include "xml.h"

#include <errno.h>
#include <limits.h>

#include <expat.h>

#include "buf.h"

struct reader {
	XML_Parser parser;
	xml_element *element;
	void *ctx;
	struct buf text;
	int depth, error;
};

static void
stop(struct reader *r, int error)
{
	if (!r->error)
		r->error = error;
	XML_StopParser(r->parser, XML_FALSE);
}

static void
on_start(void *ctx, const char *name, const char **attributes)
{
	struct reader *r = ctx;

	(void)name;
	(void)attributes;
	buf_clear(&r->text);
	if (++r->depth > XML_DEPTH)
		stop(r, -EMSGSIZE);
}

static void
on_text(void *ctx, const char *text, int n)
{
	struct reader *r = ctx;
	int e = buf_append(&r->text, text, (size_t)n);

	if (e < 0)
		stop(r, e);
}

static void
on_end(void *ctx, const char *name)
{
	struct reader *r = ctx;

	r->depth--;
	if (r->error)
		return;
	if (buf_u8(&r->text, 0) < 0) {
		stop(r, r->text.error);
		return;
	}
	r->element(r->ctx, name, (const char *)buf_data(&r->text));
	buf_clear(&r->text);
}

static void
on_doctype(void *ctx, const char *name, const char *system, const char *public, int subset)
{
	(void)name;
	(void)system;
	(void)public;
	(void)subset;
	stop(ctx, -EBADMSG);
}

int
xml_each(const void *xml, size_t n, xml_element *element, void *ctx)
{
	struct reader r = { .element = element, .ctx = ctx, .text = { .max = XML_TEXT } };

	if (n > INT_MAX)
		return -EMSGSIZE;
	if (!(r.parser = XML_ParserCreate(NULL)))
		return -ENOMEM;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (XML_Parse(r.parser, xml, (int)n, 1) != XML_STATUS_OK && !r.error)
		r.error = -EBADMSG;
	XML_ParserFree(r.parser);
	buf_free(&r.text);
	return r.error;
}
