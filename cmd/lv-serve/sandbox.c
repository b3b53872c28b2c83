#include "sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
allow(int set, int folder, uint64_t access)
{
	struct landlock_path_beneath_attr path = { .allowed_access = access, .parent_fd = folder };

	return syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &path, 0) < 0 ? -errno : 0;
}

/*
 * Writing to what exists is left alone: an --events path is opened again when its reader has
 * gone.  Making, running, and reading and removing anything elsewhere are refused.
 */
int
sandbox_read_only(const int *folders, int n, int own)
{
	const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	struct landlock_ruleset_attr attr = { .handled_access_fs = reading |
			LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
			LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
			LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
			LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM };
	int set, i, r = 0;

#ifdef __SANITIZE_ADDRESS__
	return -ENOTSUP; /* the search for leaks reads /proc when the process ends */
#endif
	set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (set < 0)
		return -errno;
	for (i = 0; !r && i < n; i++)
		r = allow(set, folders[i], reading);
	if (!r && own >= 0)
		r = allow(set, own, LANDLOCK_ACCESS_FS_REMOVE_FILE);
	if (!r && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			syscall(SYS_landlock_restrict_self, set, 0) < 0))
		r = -errno;
	close(set);
	return r;
}
