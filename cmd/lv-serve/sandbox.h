/* sandbox: from here on, read below these folders and nothing else (Landlock). */
#ifndef LV_SERVE_SANDBOX_H
#define LV_SERVE_SANDBOX_H

int sandbox_read_only(const int *folders, int n); /* 0, or -errno where the kernel cannot */

#endif
