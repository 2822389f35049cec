/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of one content share: whole reads and writes, room that is reserved, and the
 * record at the front of a file that says which content it belongs to. */
#pragma once

#include "peer/content.h"

/* All of it, or false with errno; behind the end of the file is ENODATA. */
bool net_disk_read (int fd, void *out, size_t n, uint64_t offset);
bool net_disk_write (int fd, const void *bytes, size_t n, uint64_t offset);

/* Opens or creates path and locks it against other programs. is_new may be NULL. -1 with error. */
int net_disk_open (const char *path, bool *is_new, GError **error);
/* The file is at least n bytes long from now on, and they can be written without the disk running
 * full, where the file system can promise that. */
bool net_disk_reserve (int fd, const char *path, uint64_t n, GError **error);

/* Gives the disk back the room of bytes first to end where it can; else it is used again later. */
void net_disk_punch (int fd, const char *path, uint64_t first, uint64_t end);

/* Logs "cannot what 'path'" with errno, unless that was said: a full or broken disk would say it for
 * each chunk. */
void net_disk_complain (bool *is_said, const char *what, const char *path);
/* "what 'path': the reason of errno". */
void net_disk_set_error (GError **error, int number, const char *what, const char *path);

#define NET_DISK_FRONT 4096 /* bytes: where the rest of a file with a record begins */

typedef struct {
  char magic[9];     /* 8 characters: what kind of file */
  uint32_t state;    /* of this kind's choice */
  int64_t changed_s; /* when the described file was changed last */
  uint32_t changed_ns;
  PeerContent content;
} NetDiskRecord;

typedef enum {
  NET_DISK_RECORD_GOOD,
  NET_DISK_RECORD_NONE,   /* or it is damaged */
  NET_DISK_RECORD_FAILED, /* with errno: it cannot be read, and may be good */
} NetDiskRecordResult;

NetDiskRecordResult net_disk_read_record (int fd, const char *magic, NetDiskRecord *out);
bool net_disk_write_record (int fd, const NetDiskRecord *record);
/* The same content, cut and hashed the same way? */
bool net_disk_same_content (const PeerContent *a, const PeerContent *b);
