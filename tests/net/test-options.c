/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/options.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  char *text, *path;
  char **list;
  int number; /* -1 = not said */
  gboolean flag;
  char *config;
} Said;

static void
said_clear (Said *self)
{
  g_free (self->text);
  g_free (self->path);
  g_strfreev (self->list);
  g_free (self->config);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Said, said_clear)

static bool
read_text (Said *said, const char *text, GError **error)
{
  const GOptionEntry entries[] = {
      {"text", 0, 0, G_OPTION_ARG_STRING, &said->text, NULL, NULL},
      {"path", 0, 0, G_OPTION_ARG_FILENAME, &said->path, NULL, NULL},
      {"list", 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->list, NULL, NULL},
      {"number", 0, 0, G_OPTION_ARG_INT, &said->number, NULL, NULL},
      {"flag", 0, 0, G_OPTION_ARG_NONE, &said->flag, NULL, NULL},
      {"config", 0, 0, G_OPTION_ARG_FILENAME, &said->config, NULL, NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->list, NULL, NULL},
      {NULL},
  };
  g_autofree char *folder = g_dir_make_tmp ("ppsp-options-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "some.conf", NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  bool ok = net_options_read_file (path, entries, error);
  g_unlink (path);
  g_rmdir (folder);
  return ok;
}

static void
test_every_kind (void)
{
  g_auto (Said) said = {.number = -1};
  g_autoptr (GError) error = NULL;
  g_assert_true (read_text (&said,
                            "# a comment\n[one]\ntext=a b\npath=/x y\n"
                            "[two]\nlist=a;b\nnumber=0\nflag=true\n",
                            &error));
  g_assert_no_error (error);
  g_assert_cmpstr (said.text, ==, "a b");
  g_assert_cmpstr (said.path, ==, "/x y");
  g_assert_cmpuint (g_strv_length (said.list), ==, 2);
  g_assert_cmpstr (said.list[1], ==, "b");
  g_assert_cmpint (said.number, ==, 0);
  g_assert_true (said.flag);
}

static void
test_the_command_line_wins (void)
{
  g_auto (Said) said = {
      .text = g_strdup ("mine"), .list = g_strsplit ("mine", ";", -1), .number = 7, .flag = TRUE};
  g_autoptr (GError) error = NULL;
  g_assert_true (
      read_text (&said, "[a]\ntext=x\nlist=x;y\nnumber=1\nflag=false\npath=p\n", &error));
  g_assert_cmpstr (said.text, ==, "mine");
  g_assert_cmpuint (g_strv_length (said.list), ==, 1);
  g_assert_cmpint (said.number, ==, 7);
  g_assert_true (said.flag);
  g_assert_cmpstr (said.path, ==, "p");
}

/* Each gives one line that names file, section and key, even for what the command line has said. */
static void
test_mistakes_are_named (void)
{
  static const char *const rows[][2] = {
      {"[a]\ntxet=x\n", "some.conf: [a] txet: there is no such option"},
      {"[a]\nconfig=x\n", "[a] config: there is no such option"},
      {"[a]\nversion=true\n", "[a] version: there is no such option"},
      {"[a]\nflag=perhaps\n", "some.conf: [a] flag: "},
      {"[a]\nnumber=many\n", "some.conf: [a] number: "},
      {"[a]\ntext=\\q\n", "some.conf: [a] text: "},
      {"text=x\n", "some.conf: it begins with no [SECTION]"},
      {"no key file: secret\n", "some.conf: line 1: "},
      {"[a]\n# b\n\nsecret words\ntext=x\n", "some.conf: line 4: "},
      {"[a]\ntext=\xff secret\n", "some.conf: line 2: "},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (Said) said = {.text = g_strdup ("mine"), .number = 7, .flag = TRUE};
    g_autoptr (GError) error = NULL;
    g_assert_false (read_text (&said, rows[i][0], &error));
    if (strstr (error->message, rows[i][1]) == NULL)
      g_error ("\"%s\" does not say \"%s\"", error->message, rows[i][1]);
    g_assert_null (strchr (error->message, '\n'));
    g_assert_null (strstr (error->message, "secret"));
    g_assert_cmpint (said.number, ==, 7);
  }
}

static void
test_no_file (void)
{
  g_autoptr (GError) error = NULL;
  static const GOptionEntry none[] = {{NULL}};
  g_assert_false (net_options_read_file ("/nowhere/at/all", none, &error));
  g_assert_nonnull (strstr (error->message, "/nowhere/at/all"));
}

static void
test_sizes (void)
{
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"0", 0},          {"4096", 4096},    {"1k", 1024},        {"3M", 3145728},
              {"3MiB", 3145728}, {"3 MB", 3145728}, {"0.5G", 536870912}, {"2T", 2199023255552}};
  static const char *const bad[] = {"",    "M",   "-1",   "1X",    "1MM",
                                    "nan", "inf", "1e30", "0x10Q", "5 M x"};
  uint64_t bytes;
  for (size_t i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (net_options_size (good[i].text, &bytes));
    g_assert_cmpuint (bytes, ==, good[i].bytes);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (net_options_size (bad[i], &bytes));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/options/every-kind-is-read", test_every_kind);
  g_test_add_func ("/net/options/the-command-line-wins", test_the_command_line_wins);
  g_test_add_func ("/net/options/mistakes-are-named", test_mistakes_are_named);
  g_test_add_func ("/net/options/a-file-that-is-not-there-is-named", test_no_file);
  g_test_add_func ("/net/options/sizes-have-units", test_sizes);
  return g_test_run ();
}
