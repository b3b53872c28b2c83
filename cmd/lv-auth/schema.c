/* The tables of the database, as a script for psql. */
#include <stdio.h>

#include "auth.h"

static const char *const migrations[] = {
#include "schema.inc"
};

const int schema_version = sizeof(migrations) / sizeof(*migrations);

int
schema_print(void)
{
	int i;

	printf("-- lv-auth schema | psql: all or nothing, and again as often as one likes.\n"
	       "\\set ON_ERROR_STOP on\n"
	       "\\set QUIET on\n"
	       "begin;\n"
	       "set local client_min_messages = warning;\n"
	       "do $$ begin perform pg_advisory_xact_lock(hashtext('lv_schema')); end $$;\n");
	for (i = 0; i < schema_version; i++)
		printf("\n%s\ninsert into lv_schema (version) values (%d) on conflict do nothing;\n",
			migrations[i], i + 1);
	printf("\ncommit;\n");
	return hand_finish("");
}
