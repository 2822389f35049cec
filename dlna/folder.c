/* SPDX-License-Identifier: Apache-2.0 */
/* In RUNTIME_DIRECTORY where systemd gives one, else among the temporary files. There systemd-tmpfiles
 * removes what is ten days old, and with the description the server would be gone: it passes over a
 * folder that is locked, so this one is. A folder of ours that is not locked is what a killed process
 * has left; the next one removes it. */

#include "dlna/folder.h"
#include "dlna/didl.h"
#include "dlna/resources.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "ppsp-dlna-"
#define STALE_SECONDS 60 /* younger ones may be about to be locked */

static const char *const files[] = {"device.xml", "ContentDirectory.xml", "ConnectionManager.xml",
                                    "MediaReceiverRegistrar.xml"};

struct DlnaFolder {
  char *path;
  int lock;
};

/* Without its comment: nobody at the other end wants it, and parsers in sets are old. */
static char *
load (const char *name)
{
  g_autofree char *path = g_strdup_printf ("/ppsp/dlna/xml/%s", name);
  g_autoptr (GBytes) bytes =
      g_resource_lookup_data (dlna_get_resource (), path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  g_autofree char *text = NULL;
  const char *start, *end;

  g_assert_nonnull (bytes); /* it is linked in */
  text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  start = strstr (text, "<!--");
  end = start != NULL ? strstr (start, "-->\n") : NULL;
  if (end == NULL)
    return g_steal_pointer (&text);
  return g_strdup_printf ("%.*s%s", (int)(start - text), text, end + strlen ("-->\n"));
}

char *
dlna_folder_description (const char *friendly_name, const char *uuid, const char *page)
{
  const struct {
    const char *mark, *value;
  } values[] = {
      {"@NAME@", friendly_name}, {"@UUID@", uuid}, {"@PAGE@", page}, {"@VERSION@", PPSP_VERSION}};
  g_autofree char *text = load ("device.xml");
  g_autoptr (GString) out = g_string_new (NULL);

  for (const char *p = text; *p != '\0';) {
    size_t i = 0;
    while (i < G_N_ELEMENTS (values) && !g_str_has_prefix (p, values[i].mark))
      i++;
    if (i == G_N_ELEMENTS (values)) {
      g_string_append_c (out, *p++);
    } else {
      dlna_didl_escape (out, values[i].value);
      p += strlen (values[i].mark);
    }
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static bool
write_file (const char *folder, const char *name, const char *text, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error);
}

static void
remove_files (const char *folder)
{
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_build_filename (folder, files[i], NULL);
    g_unlink (path);
  }
  g_rmdir (folder);
}

static void
remove_stale (const char *parent)
{
  g_autoptr (GDir) dir = g_dir_open (parent, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (parent, name, NULL);
    struct stat info;
    int fd;

    if (!g_str_has_prefix (name, PREFIX))
      continue;
    fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
      continue;
    if (fstat (fd, &info) == 0 && info.st_uid == geteuid () &&
        info.st_mtime + STALE_SECONDS < time (NULL) && flock (fd, LOCK_EX | LOCK_NB) == 0)
      remove_files (path);
    close (fd);
  }
}

DlnaFolder *
dlna_folder_new (const char *friendly_name, const char *uuid, const char *page, GError **error)
{
  const char *parent = g_getenv ("RUNTIME_DIRECTORY");
  g_autoptr (DlnaFolder) self = g_new0 (DlnaFolder, 1);

  self->lock = -1;
  if (parent == NULL || parent[0] != '/' || strchr (parent, ':') != NULL)
    parent = g_get_tmp_dir ();
  remove_stale (parent);
  self->path = g_build_filename (parent, PREFIX "XXXXXX", NULL);
  if (g_mkdtemp (self->path) == NULL) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                 "cannot make a folder for the description in %s: %s", parent, g_strerror (code));
    g_clear_pointer (&self->path, g_free);
    return NULL;
  }
  self->lock = open (self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->lock >= 0)
    (void)flock (self->lock, LOCK_SH | LOCK_NB);
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *text =
        i == 0 ? dlna_folder_description (friendly_name, uuid, page) : load (files[i]);
    if (!write_file (self->path, files[i], text, error))
      return NULL;
  }
  return g_steal_pointer (&self);
}

void
dlna_folder_free (DlnaFolder *self)
{
  if (self == NULL)
    return;
  if (self->path != NULL)
    remove_files (self->path);
  if (self->lock >= 0)
    close (self->lock);
  g_free (self->path);
  g_free (self);
}

const char *
dlna_folder_path (DlnaFolder *self)
{
  return self->path;
}
