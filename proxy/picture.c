/* SPDX-License-Identifier: Apache-2.0 */
/* The library knows dozens of formats, and each reader is a door; two are opened, by what the bytes
 * begin with. A picture of a few kilobytes may have any number of points, and most are read whole before they
 * are scaled: so what says that it has more than any logo is not read at all. */
#include "proxy/picture.h"
#include <stdbool.h>
#include <string.h>
#ifdef HAVE_PIXBUF
#include <gdk-pixbuf/gdk-pixbuf.h>
#endif

#define SIDE 160
#define MAX_SIDE 8192
#define MAX_POINTS (2048 * 2048) /* 16 MB of them */

static const char *
type_of (GBytes *picture)
{
  static const struct {
    const char *type, *magic;
    gsize n;
  } types[] = {{"image/jpeg", "\xff\xd8\xff", 3}, {"image/png", "\x89PNG\r\n\x1a\n", 8}};
  gsize n;
  const char *bytes = g_bytes_get_data (picture, &n);
  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    if (n > types[i].n && memcmp (bytes, types[i].magic, types[i].n) == 0)
      return types[i].type;
  return NULL;
}

#ifdef HAVE_PIXBUF

const char *
proxy_picture_profile (void)
{
  return "JPEG_TN";
}

static void
on_size (GdkPixbufLoader *loader, int width, int height, gpointer data)
{
  bool *refused = data;
  int larger = MAX (width, height);
  *refused = width <= 0 || height <= 0 || larger > MAX_SIDE || width > MAX_POINTS / height;
  if (*refused)
    gdk_pixbuf_loader_set_size (loader, 0, 0); /* ends it; any other would be made of the whole */
  else if (larger > SIDE)
    gdk_pixbuf_loader_set_size (loader, MAX (width * SIDE / larger, 1),
                                MAX (height * SIDE / larger, 1));
}

static GdkPixbuf *
read_picture (GBytes *picture, const char *type)
{
  bool refused = false;
  g_autoptr (GdkPixbufLoader) loader = gdk_pixbuf_loader_new_with_mime_type (type, NULL);
  if (!loader)
    return NULL;
  g_signal_connect (loader, "size-prepared", G_CALLBACK (on_size), &refused);
  bool whole = gdk_pixbuf_loader_write_bytes (loader, picture, NULL);
  whole &= gdk_pixbuf_loader_close (loader, NULL);
  GdkPixbuf *read = gdk_pixbuf_loader_get_pixbuf (loader);
  if (!whole || refused || !read || gdk_pixbuf_get_width (read) > SIDE ||
      gdk_pixbuf_get_height (read) > SIDE)
    return NULL;
  return gdk_pixbuf_get_has_alpha (read)
             ? gdk_pixbuf_composite_color_simple (read, gdk_pixbuf_get_width (read),
                                                  gdk_pixbuf_get_height (read), GDK_INTERP_NEAREST,
                                                  255, 8, 0xffffffff, 0xffffffff)
             : g_object_ref (read);
}

GBytes *
proxy_picture_thumbnail (GBytes *picture, const char **type)
{
  const char *given = type_of (picture);
  g_autoptr (GdkPixbuf) small = given ? read_picture (picture, given) : NULL;
  char *bytes = NULL;
  gsize n = 0;
  if (!small || !gdk_pixbuf_save_to_buffer (small, &bytes, &n, "jpeg", NULL, "quality", "90", NULL))
    return NULL;
  *type = "image/jpeg";
  return g_bytes_new_take (bytes, n);
}

#else

const char *
proxy_picture_profile (void)
{
  return NULL;
}

GBytes *
proxy_picture_thumbnail (GBytes *picture, const char **type)
{
  *type = type_of (picture);
  return *type ? g_bytes_ref (picture) : NULL;
}

#endif
