/* SPDX-License-Identifier: Apache-2.0 */
/* All that the home's side asks of whoever has media. dlna/ includes nothing of peer/ or
 * proxy/; proxy/library.c answers this interface. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

/* A value with owned strings: dlna_item_new(), dlna_item_free(). */
typedef struct {
  char *id, *parent_id, *title;
  char *ref_id;       /* of the item that this one is another entry of; NULL = none */
  char *mime;         /* NULL = a container */
  char *extension;    /* of the media path: "ts", "mp4"; NULL = ts */
  char *logo;         /* URI of a picture, or a path beside /media/; NULL = none */
  char *logo_profile; /* its DLNA profile: "JPEG_TN"; NULL = not known */
  char *about;        /* a line for people: what is on; NULL = none */
  char *channel_name; /* NULL = not a broadcast channel */
  int channel_number; /* 0 = none */
  bool live;
  bool pausable; /* live: who does not read for a while can go on where it was */
  int64_t from,
      until;        /* us, pausable: the times that locate_async() can find now; until -1 = none */
  int64_t size;     /* bytes; -1 = live, or not yet known */
  int64_t duration; /* us; -1 = unknown */
  uint64_t bitrate; /* bits/s; 0 = unknown */
  bool seeks_time;  /* locate_async() can find a time */
  int64_t stopped;  /* us: where the household stopped; 0 = at an end, or nobody has begun */
  /* What the stream really contains; empty strings as NULL, numbers as 0 while it is not known. */
  char *video_codec; /* "h264", "hevc", "mpeg2video" */
  char *audio_codec; /* "aac", "ac3", "mp2" ... */
  int video_profile; /* H.264 profile_idc */
  int width, height; /* pixels */
  uint32_t frame_rate_milli;
  bool he_aac;
  int child_count; /* containers; -1 = unknown */
} DlnaItem;

DlnaItem *dlna_item_new (void); /* sizes -1, all else empty */
void dlna_item_free (DlnaItem *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaItem, dlna_item_free)

/* Where a stream is to start. */
typedef enum { DLNA_POSITION_LIVE, DLNA_POSITION_BYTES, DLNA_POSITION_TIME } DlnaPositionType;
typedef struct {
  DlnaPositionType type; /* LIVE: the newest place where a picture can start */
  int64_t first;         /* bytes; TIME, of what is live: us, as locate_async() has found it */
  int64_t end;           /* bytes, half-open; -1 = to the end */
  int64_t back;          /* us, LIVE: so far behind that, or as far as can be had */
  const char *viewer;    /* who asks, for the owner's eyes: "192.168.1.20 VLC/3.0" */
} DlnaPosition;

/* Where a time of an item lies in its bytes. */
typedef struct {
  int64_t byte; /* where a picture can start, at that time or a little before; live: -1 */
  int64_t time; /* us: that it really has there */
} DlnaPlace;

/* One viewer's stream. Closing it (the last unref) costs the other viewers nothing. */
#define DLNA_TYPE_STREAM (dlna_stream_get_type ())
G_DECLARE_INTERFACE (DlnaStream, dlna_stream, DLNA, STREAM, GObject)
struct _DlnaStreamInterface {
  GTypeInterface parent;
  /* The next bytes: a slice of a block that all viewers share, 64 KiB or what a tick brought.
   * next_finish: NULL without error = the end. One call at a time. */
  void (*next_async) (DlnaStream *self, GCancellable *cancellable, GAsyncReadyCallback done,
                      gpointer data);
  GBytes *(*next_finish) (DlnaStream *self, GAsyncResult *result, GError **error);
  int64_t (*size) (DlnaStream *self); /* bytes of the whole content; -1 = live */
  /* Live: as next_async, at most max bytes (and the rest of a chunk), if they are here now. NULL:
   * not now, or, with *ended, no more. Not while a next_async is under way. */
  GBytes *(*take) (DlnaStream *self, size_t max, bool *ended);
  /* Live: news is called whenever take() may have another answer than before; NULL = no more.
   * The stream may be closed in it. */
  void (*watch) (DlnaStream *self, void (*news) (gpointer data), gpointer data);
  /* Live: us between what comes next and the newest that is here, as far as key frames tell; -1 = not
   * live, or not known. */
  int64_t (*behind) (DlnaStream *self);
};
void dlna_stream_next_async (DlnaStream *self, GCancellable *cancellable, GAsyncReadyCallback done,
                             gpointer data);
GBytes *dlna_stream_next_finish (DlnaStream *self, GAsyncResult *result, GError **error);
int64_t dlna_stream_size (DlnaStream *self);
GBytes *dlna_stream_take (DlnaStream *self, size_t max, bool *ended);
int64_t dlna_stream_behind (DlnaStream *self);
void dlna_stream_watch (DlnaStream *self, void (*news) (gpointer data), gpointer data);

#define DLNA_TYPE_LIBRARY (dlna_library_get_type ())
G_DECLARE_INTERFACE (DlnaLibrary, dlna_library, DLNA, LIBRARY, GObject)

/* Signal "changed" (const char *id): that container has other children than before. */
struct _DlnaLibraryInterface {
  GTypeInterface parent;
  /* The root container's ID is "0". NULL with G_IO_ERROR_NOT_FOUND. */
  DlnaItem *(*lookup) (DlnaLibrary *self, const char *id, GError **error);
  /* Children in their order; limit 0 = all. Free with g_ptr_array_unref. */
  GPtrArray *(*list) (DlnaLibrary *self, const char *id, guint offset, guint limit, guint *total,
                      GError **error);
  /* Of that container: rises when it changes. NULL or the root: SystemUpdateID, which rises with
   * each change of any. */
  guint32 (*update_id) (DlnaLibrary *self, const char *id);
  /* The stream starts at position. Ready when its first byte is; G_IO_ERROR_TIMED_OUT if no peer
   * had that in time, G_IO_ERROR_NOT_FOUND, G_IO_ERROR_INVALID_ARGUMENT for a range that is not. */
  void (*open_async) (DlnaLibrary *self, const char *id, const DlnaPosition *position,
                      GCancellable *cancellable, GAsyncReadyCallback done, gpointer data);
  DlnaStream *(*open_finish) (DlnaLibrary *self, GAsyncResult *result, GError **error);
  /* time: us from the beginning. For items that seek times; errors as above. */
  void (*locate_async) (DlnaLibrary *self, const char *id, int64_t time, GCancellable *cancellable,
                        GAsyncReadyCallback done, gpointer data);
  bool (*locate_finish) (DlnaLibrary *self, GAsyncResult *result, DlnaPlace *out, GError **error);
  /* A viewer of an item that is not live had bytes [first, end), and has gone. Or NULL. */
  void (*left) (DlnaLibrary *self, const char *id, int64_t first, int64_t end);
  /* A viewer says where it stopped: us from the beginning. Or NULL. */
  void (*stopped) (DlnaLibrary *self, const char *id, int64_t time);
};
DlnaItem *dlna_library_lookup (DlnaLibrary *self, const char *id, GError **error);
GPtrArray *dlna_library_list (DlnaLibrary *self, const char *id, guint offset, guint limit,
                              guint *total, GError **error);
guint32 dlna_library_update_id (DlnaLibrary *self, const char *id);
void dlna_library_locate_async (DlnaLibrary *self, const char *id, int64_t time,
                                GCancellable *cancellable, GAsyncReadyCallback done, gpointer data);
bool dlna_library_locate_finish (DlnaLibrary *self, GAsyncResult *result, DlnaPlace *out,
                                 GError **error);
void dlna_library_open_async (DlnaLibrary *self, const char *id, const DlnaPosition *position,
                              GCancellable *cancellable, GAsyncReadyCallback done, gpointer data);
DlnaStream *dlna_library_open_finish (DlnaLibrary *self, GAsyncResult *result, GError **error);
void dlna_library_left (DlnaLibrary *self, const char *id, int64_t first, int64_t end);
void dlna_library_stopped (DlnaLibrary *self, const char *id, int64_t time);
void dlna_library_emit_changed (DlnaLibrary *self, const char *id);
