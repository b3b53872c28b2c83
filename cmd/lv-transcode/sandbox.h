/* sandbox: what a decoder of hostile media may still do: no programs, no sockets, no other files. */
#ifndef LV_SANDBOX_H
#define LV_SANDBOX_H

/* folders: where files may still be made, each -1 or open.  0, or -errno of what is missing here. */
int sandbox_enter(const int *folders, int n);

#endif
