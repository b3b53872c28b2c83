/*
 * spool: what has to be remembered over a restart: a folder for each destination, in one folder.
 *
 * pending/PATH  a hard link to each file that has not been pushed yet.  So the backlog needs no
 *               list of its own, is whole after kill -9 at any moment, and holds what the
 *               segmenter has deleted meanwhile.
 * pushed        a journal: "SIZE MTIME_NS PATH" when a file was pushed, "- PATH" when it was
 *               deleted or forgotten; read and written anew at each start.
 * for           the destination.
 *
 * No fsync: a power cut may cost the last lines of the journal, and their files are pushed again.
 * Errors: spool_open gives -EBUSY (another lv-s3push has it), -EXDEV (it has to be on the file system
 *         of the tree), -EREMOTE (it belongs to another destination), or -errno.
 */
#ifndef LV_S3PUSH_SPOOL_H
#define LV_S3PUSH_SPOOL_H

#include <stdint.h>
#include <sys/stat.h>

struct spool;
typedef void spool_pushed_fn(void *ctx, const char *path, int64_t size, int64_t mtime_ns);
typedef void spool_pending_fn(void *ctx, const char *path, const struct stat *);

/* The folder is relative to at, and made when it is not there; root is the tree's. */
int spool_open(struct spool **, int at, int root, const char *folder, const char *name, const char *destination);
/* Those in the folder that nobody has open. */
void spool_idle(int at, const char *folder, void (*found)(const char *name));
int spool_pushed(struct spool *, spool_pushed_fn *, void *ctx); /* each file that is in the bucket */
int spool_pending(struct spool *, spool_pending_fn *, void *ctx);

/* The journal anew: begin, note each file, end.  Until the end the old one is whole. */
int spool_begin(struct spool *);
int spool_end(struct spool *);

int spool_note(struct spool *, const char *path, int64_t size, int64_t mtime_ns);
int spool_forget(struct spool *, const char *path);
int spool_link(struct spool *, const char *path);
void spool_unlink(struct spool *, const char *path);
void spool_folder_gone(struct spool *, const char *path);
int spool_file(struct spool *, const char *path); /* a descriptor, or -errno */
void spool_close(struct spool **);

#endif
