/*
 * xml reads the small documents that S3 answers with.  The only includer of expat.  No I/O.
 *
 * Shape:  element is called at the end of each element, so children come before their parent, with
 *         the text that is its own; "Contents" ends after its Key, Size and ETag.
 * Owner:  name and text are the parser's, good during the call.
 * Errors: -EBADMSG for what is not well-formed or has a document type, -EMSGSIZE for an element
 *         over XML_TEXT bytes or deeper than XML_DEPTH; what came before has been told.
 */
#ifndef LV_XML_H
#define LV_XML_H

#include <stddef.h>

#define XML_TEXT (16 << 10)
#define XML_DEPTH 16

typedef void xml_element(void *ctx, const char *name, const char *text);

int xml_each(const void *xml, size_t n, xml_element *, void *ctx);

#endif
