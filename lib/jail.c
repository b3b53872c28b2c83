#include "jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define CALLS_MAX 64
#define OPTIONS_MAX 4
#define LOW_WORD(arg) (offsetof(struct seccomp_data, args) + 8 * (arg)) /* both are little-endian */

/* No file may be opened, made or removed: a rule set that handles all rights and grants none. */
static int
no_files(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1 };
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int r;

	if (fd < 0)
		return -errno;
	r = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
	close((int)fd);
	return r;
}

static int
few_calls(int how, const int *calls, size_t n, const struct jail_option *o, size_t no)
{
#ifdef ARCH
	struct sock_filter f[CALLS_MAX + 4 * OPTIONS_MAX + 8];
	struct sock_fprog prog = { .filter = f };
	unsigned short k = 0;
	unsigned deny = how == 2 ? SECCOMP_RET_LOG : SECCOMP_RET_KILL_PROCESS;
	size_t i;

	if (n > CALLS_MAX || no > OPTIONS_MAX)
		return -E2BIG;
	f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (i = 0; i < n; i++) /* the allowed ones jump to the last statement, the others to the one before */
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i],
			(unsigned char)(n - i + (no ? 4 * no + 1 : 0)), 0);
	if (no)
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0,
			(unsigned char)(4 * no));
	for (i = 0; i < no; i++) {
		f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(1));
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)o[i].level, 0, 2);
		f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(2));
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)o[i].name,
			(unsigned char)(4 * (no - i - 1) + 1), 0);
	}
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = k;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 ? -errno : 0;
#else
	(void)how;
	(void)calls;
	(void)n;
	(void)o;
	(void)no;
	return -ENOSYS;
#endif
}

static void
limit(int what, rlim_t value)
{
	setrlimit((__rlimit_resource_t)what, &(struct rlimit){ value, value });
}

int
jail_enter(int how, const int *calls, size_t n, const struct jail_option *options, size_t noptions,
	size_t memory_max)
{
	int r, s;

	if (!how)
		return 0;
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_AS, memory_max);
	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = no_files();
	s = few_calls(how, calls, n, options, noptions);
	return r ? r : s;
}
