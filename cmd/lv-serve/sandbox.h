/*
 * sandbox: from here on, read below these folders, and nothing else (Landlock); but names below own,
 * where a socket of ours is, may be taken away (-1: none).
 */
#ifndef LV_SERVE_SANDBOX_H
#define LV_SERVE_SANDBOX_H

int sandbox_read_only(const int *folders, int n, int own); /* 0, or -errno where the kernel cannot */

#endif
