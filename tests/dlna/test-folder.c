/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/folder.h"
#include <glib/gstdio.h>
#include <libxml/parser.h>
#include <string.h>
#include <utime.h>

#define UUID "6d2a6a0e-8f63-4a9c-9b53-0a6f3f6f3c11"
#define PAGE "http://192.168.1.1:8574/"

static xmlNode *
child (xmlNode *node, const char *name)
{
  for (node = node->children; node != NULL; node = node->next)
    if (node->type == XML_ELEMENT_NODE && strcmp ((const char *)node->name, name) == 0)
      return node;
  return NULL;
}

static void
assert_text (xmlNode *device, const char *name, const char *wanted)
{
  xmlNode *node = child (device, name);
  xmlChar *text;

  g_assert_nonnull (node);
  text = xmlNodeGetContent (node);
  g_assert_cmpstr ((const char *)text, ==, wanted);
  xmlFree (text);
}

static void
test_description (void)
{
  static const char name[] = "Tom & \"Ann's\" <TV> @UUID@ ]]>";
  g_autofree char *text = dlna_folder_description (name, UUID, PAGE);
  xmlDoc *doc = xmlReadMemory (text, (int)strlen (text), NULL, NULL, XML_PARSE_NONET);
  xmlNode *device;

  g_assert_nonnull (doc);
  device = child (xmlDocGetRootElement (doc), "device");
  g_assert_nonnull (device);
  assert_text (device, "friendlyName", name); /* a mark in the name is text */
  assert_text (device, "UDN", "uuid:" UUID);
  assert_text (device, "presentationURL", PAGE);
  assert_text (device, "X_DLNADOC", "DMS-1.50");
  assert_text (device, "deviceType", "urn:schemas-upnp-org:device:MediaServer:1");
  xmlFreeDoc (doc);
}

/* What gupnp serves is this folder, whole. */
static void
test_files (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DlnaFolder) folder = dlna_folder_new ("TV", UUID, PAGE, &error);
  g_autofree char *path = NULL;
  g_autoptr (GDir) dir = NULL;
  const char *name;
  unsigned n = 0;

  g_assert_no_error (error);
  path = g_strdup (dlna_folder_path (folder));
  dir = g_dir_open (path, 0, &error);
  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    g_autofree char *text = NULL;
    xmlDoc *doc;

    g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
    doc = xmlReadMemory (text, (int)strlen (text), NULL, NULL, XML_PARSE_NONET);
    g_assert_nonnull (doc);
    xmlFreeDoc (doc);
    n++;
  }
  g_assert_cmpuint (n, ==, 4);
  g_clear_pointer (&folder, dlna_folder_free);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
set_old (const char *path)
{
  const struct utimbuf then = {1000000000, 1000000000};
  g_assert_cmpint (g_utime (path, (struct utimbuf *)&then), ==, 0);
}

static void
test_stale (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *parent = g_dir_make_tmp ("test-folder-XXXXXX", &error);
  g_autofree char *stale = g_build_filename (parent, "ppsp-dlna-stale", NULL);
  g_autofree char *file = g_build_filename (stale, "device.xml", NULL);
  g_autofree char *young = g_build_filename (parent, "ppsp-dlna-young", NULL);
  g_autofree char *other = g_build_filename (parent, "other", NULL);
  g_autoptr (DlnaFolder) in_use = NULL;
  g_autoptr (DlnaFolder) next = NULL;

  g_assert_no_error (error);
  g_setenv ("RUNTIME_DIRECTORY", parent, TRUE);
  in_use = dlna_folder_new ("TV", UUID, PAGE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_mkdir (stale, 0700) | g_mkdir (young, 0700) | g_mkdir (other, 0700), ==, 0);
  g_assert_true (g_file_set_contents (file, "x", -1, NULL));
  set_old (stale);
  set_old (other);
  set_old (dlna_folder_path (in_use));
  next = dlna_folder_new ("TV", UUID, PAGE, &error);
  g_assert_no_error (error);
  g_assert_false (g_file_test (stale, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (young, G_FILE_TEST_IS_DIR));
  g_assert_true (g_file_test (other, G_FILE_TEST_IS_DIR));
  g_assert_true (g_file_test (dlna_folder_path (in_use), G_FILE_TEST_IS_DIR));
  g_clear_pointer (&in_use, dlna_folder_free);
  g_clear_pointer (&next, dlna_folder_free);
  g_rmdir (young);
  g_rmdir (other);
  g_assert_cmpint (g_rmdir (parent), ==, 0); /* nothing is left in it */
  g_unsetenv ("RUNTIME_DIRECTORY");
}

static void
test_no_place (void)
{
  g_autoptr (GError) error = NULL;

  g_setenv ("RUNTIME_DIRECTORY", "/proc/no-such-folder", TRUE);
  g_assert_null (dlna_folder_new ("TV", UUID, PAGE, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "/proc/no-such-folder"));
  g_unsetenv ("RUNTIME_DIRECTORY");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/folder/description-says-the-name", test_description);
  g_test_add_func ("/dlna/folder/has-four-files-and-goes", test_files);
  g_test_add_func ("/dlna/folder/what-a-killed-process-left-is-removed", test_stale);
  g_test_add_func ("/dlna/folder/no-place-is-an-error", test_no_place);
  return g_test_run ();
}
