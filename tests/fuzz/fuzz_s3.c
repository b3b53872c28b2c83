/* s3: what a server answers, and a file of keys, as hostile ones would write them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3cred.h"
#include "s3fault.h"
#include "s3page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 301, 400, 403, 404, 409, 503 };
	struct s3_about about = { "bucket", "id", "us-east-1", "http://localhost", NULL };
	char *text = malloc(size + 1);
	struct s3_fault fault;
	struct s3cred cred;
	struct s3_page page;
	size_t i;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		s3_judge(&fault, &about, statuses[i], text, size);
		if (fault.verdict == S3_OK || !memchr(fault.why, '\0', sizeof(fault.why)))
			abort();
	}
	s3cred_parse(&cred, text, "default");
	if (!s3_page_read(&page, text, size) && page.n > S3_KEYS)
		abort();
	s3_page_free(&page);
	free(text);
	return 0;
}
