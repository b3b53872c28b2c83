#include "lean.h"

#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#define LEAN_BYTES (16 << 10)
#define RSEQ_BYTES 32 /* what the C library registered, at least */

void
lean(void)
{
	mallopt(M_MMAP_THRESHOLD, LEAN_BYTES);
	mallopt(M_TRIM_THRESHOLD, LEAN_BYTES);
	mallopt(M_TOP_PAD, 0);
#if defined(RSEQ_SIG) && defined(SYS_rseq)
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, RSEQ_BYTES, RSEQ_FLAG_UNREGISTER,
			RSEQ_SIG);
#endif
}
