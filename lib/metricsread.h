/*
 * metricsread reads the text form of Prometheus, line by line.  No I/O.
 *
 * Shape:  begin over a whole text, then next until it gives 0; label for each label that is wanted.
 * Owner:  the text is borrowed, and lines point into it.
 * Errors: next gives 1 for a line, 0 at the end, -EBADMSG for what is no such text; that is final.
 * Limits: METRICSREAD_NAME bytes of a name.  Comments and times of samples are passed over.
 * Spec:   Prometheus text exposition format 0.0.4.
 */
#ifndef LV_METRICSREAD_H
#define LV_METRICSREAD_H

#include <stdbool.h>
#include <stddef.h>

#define METRICSREAD_NAME 128

struct metricsread {
	const char *at, *end;
};

enum metricsread_kind { METRICSREAD_HELP, METRICSREAD_TYPE, METRICSREAD_SAMPLE };

struct metricsread_line {
	enum metricsread_kind kind;
	char name[METRICSREAD_NAME]; /* of the family; of a sample, with its suffix */
	const char *labels;          /* of a sample, between the braces */
	size_t labels_len;
	const char *text; /* the help as it is escaped, the type, the number */
	size_t text_len;
	double value;
};

void metricsread_begin(struct metricsread *, const char *text, size_t n);
int metricsread_next(struct metricsread *, struct metricsread_line *);

/* The value of a label; false: it is not there, or longer than cap - 1. */
bool metricsread_label(const struct metricsread_line *, const char *name, char *value, size_t cap);

#endif
