/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/list.h"
#include "peer/cli/options.h"

#include <glib/gstdio.h>
#include <string.h>

#define ROOT_HASH "47a013e660d408619d894b20806b1d5086aab03b0a6f6d0a1e4e24e7e9a8f5b3"
#define LINK "ppsp:" ROOT_HASH
#define TRACKED LINK "?tr=https%3A%2F%2Ftracker.example%3A7846%2F"

static CliOptions *
parse (const char *const *words, GError **error)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (argv, g_strdup ("ppsp-peer"));
  for (; *words != NULL; words++)
    g_ptr_array_add (argv, g_strdup (*words));
  /* the parser moves what it has read out of the array */
  g_autofree char **moved = g_memdup2 (argv->pdata, argv->len * sizeof (char *));
  return cli_options_new ((int)argv->len, moved, error);
}

#define PARSE(...) parse ((const char *const[]){__VA_ARGS__, NULL}, &error)

static void
test_all_options (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOptions) options =
      PARSE ("--output", "film.ts", "--seed", "--peer", "127.0.0.1:7577", "--metrics",
             "127.0.0.1:9100", "--tracker", "http://127.0.0.1:7846/", "--allow-plain-tracker",
             "--peers", "192.0.2.1:7574,[2001:db8::1]:7575", "--peers", "192.0.2.2:7576", "-v",
             "--loss-tolerance", "2", "--max-per-ip", "4", "--benign-network", "--no-peer-exchange",
             TRACKED "&ps=192.0.2.9%3A7574");
  g_assert_no_error (error);
  g_assert_cmpstr (options->output, ==, "film.ts");
  g_assert_cmpstr (options->listen, ==, "127.0.0.1:7577");
  g_assert_cmpstr (options->metrics, ==, "127.0.0.1:9100");
  g_assert_cmpuint (options->max_per_ip, ==, 4);
  g_assert_cmpuint (options->loss_tolerance, ==, 2);
  g_assert_true (options->benign_network && options->no_peer_exchange);
  g_assert_true (options->seed && options->allow_plain_tracker && options->verbose);
  g_assert_cmpuint (options->trackers->len, ==, 2);
  g_assert_cmpstr (options->trackers->pdata[0], ==, "https://tracker.example:7846/");
  g_assert_cmpstr (options->trackers->pdata[1], ==, "http://127.0.0.1:7846/");
  g_assert_cmpuint (options->peers->len, ==, 4);
  g_assert_cmpuint (g_array_index (options->peers, PeerAddress, 1).port, ==, 7575);
  g_assert_cmpuint (g_array_index (options->peers, PeerAddress, 3).ip[15], ==, 9);
}

/* The limits of the key file as it is now; a mistake in it changes nothing. */
static void
test_read_again (void)
{
  static const char *const files[] = {"[peer]\nupload=8M\npower=low\n",
                                      "[peer]\nupload=16M\naccess-link=wired\nseed=true\n",
                                      "[peer]\nupload=fast\n"};
  static const uint64_t uploads[] = {1000000, 2000000, 2000000};
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "ppsp-peer-XXXXXX", NULL);
  int fd = g_mkstemp (path);
  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_autoptr (CliOptions) options = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autoptr (GError) error = NULL;
    PeerEngineOptions engine;
    NetPeeringStatus status;
    const char *words[] = {"ppsp-peer", "--config", path, TRACKED, NULL};
    g_assert_true (g_file_set_contents (path, files[i], -1, NULL));
    if (i == 0)
      options = PARSE ("--config", path, TRACKED);
    else
      g_assert_true (cli_options_reread (options, 4, (char **)words, &error) == (i == 1));
    g_assert_true ((error != NULL) == (i == 2));
    cli_options_engine (options, &engine);
    g_assert_cmpuint (engine.max_upload, ==, uploads[i]);
    net_peering_status (options->peering, &status);
    g_assert_cmpuint (status.access_link, ==, i == 0 ? PEER_LINK_UNKNOWN : PEER_LINK_WIRED);
    g_assert_cmpuint (status.power, ==, i == 0 ? PEER_POWER_LOW : PEER_POWER_UNKNOWN);
    g_assert_true (status.power_auto == (i != 0));
    g_assert_false (options->seed); /* that needs a restart */
  }
  g_unlink (path);
}

static void
test_a_link_is_enough (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOptions) options = PARSE (TRACKED);
  g_assert_no_error (error);
  g_assert_null (options->output);
  g_assert_null (options->metrics);
  g_assert_false (options->seed);
  g_assert_false (options->benign_network || options->no_peer_exchange);
  g_assert_cmpuint (options->max_per_ip, ==, 0);
  g_assert_cmpuint (options->loss_tolerance, ==, 0);
  g_assert_cmpstr (options->listen, ==, "[::]:0");
}

static void
assert_refused (const char *const *words, const char *says)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (parse (words, &error));
  g_assert_nonnull (error);
  if (strstr (error->message, says) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, says);
  g_assert_null (strchr (error->message, '\n'));
}

#define REFUSED(says, ...) assert_refused ((const char *const[]){__VA_ARGS__, NULL}, says)

static void
test_wrong_calls_are_told (void)
{
  assert_refused ((const char *const[]){NULL}, "no link");
  REFUSED ("more than one link", TRACKED, "tr=x");
  REFUSED ("more than one link", "--link", TRACKED, TRACKED);
  REFUSED ("--tracker or --peers", LINK);
  REFUSED ("--peers localhost:1", "--peers", "localhost:1", TRACKED);
  REFUSED ("--peers 192.0.2.1", "--peers", "192.0.2.1:7574,192.0.2.1", TRACKED);
  REFUSED ("--peers 192.0.2.1:0", "--peers", "192.0.2.1:0", TRACKED);
  REFUSED ("--loss-tolerance 11", "--loss-tolerance", "11", TRACKED);
  REFUSED ("--loss-tolerance -7", "--loss-tolerance=-7", TRACKED);
  REFUSED ("--max-per-ip 0", "--max-per-ip", "0", TRACKED);
  REFUSED ("--max-per-ip -7", "--max-per-ip=-7", TRACKED);
  REFUSED ("--keep is for", "--keep", "--output", "f", TRACKED);
  REFUSED ("--nonsense", "--nonsense", TRACKED);
  REFUSED ("begin", "http://example.org/");
  REFUSED ("/nowhere/at/all", "--config", "/nowhere/at/all", TRACKED);
}

static void
test_cache (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOptions) options =
      PARSE ("--cache", "/var/cache/ppsp", "--quota", "1.5g", "--channels", "file:///a.m3u",
             "--channels", "https://example.org/b.m3u", TRACKED, LINK);
  g_assert_no_error (error);
  g_assert_cmpstr (options->cache, ==, "/var/cache/ppsp");
  g_assert_cmpuint (options->quota, ==, UINT64_C (3) << 29);
  g_assert_cmpuint (options->links->len, ==, 2);
  g_assert_cmpstr (options->lists[1], ==, "https://example.org/b.m3u");
  g_assert_null (options->link);
  g_autoptr (CliOptions) list = PARSE ("--cache", "d", "--channels", "file:///a.m3u");
  g_assert_no_error (error);
  g_assert_cmpuint (list->quota, ==, UINT64_C (10) << 30);

  REFUSED ("nothing to cache", "--cache", "d");
  REFUSED ("leave out --output", "--cache", "d", "--output", "f", TRACKED);
  REFUSED ("leave out --output", "--cache", "d", "--seed", TRACKED);
  REFUSED ("--keep", "--cache", "d", "--keep", TRACKED);
  REFUSED ("--quota 3M is no size", "--cache", "d", "--quota", "3M", TRACKED);
  REFUSED ("--quota many is no size", "--cache", "d", "--quota", "many", TRACKED);
  REFUSED ("--quota 5Mb/s is no size", "--cache", "d", "--quota", "5Mb/s", TRACKED);
  REFUSED ("--quota nan is no size", "--cache", "d", "--quota", "nan", TRACKED);
  REFUSED ("--quota is for a cache", "--quota", "5M", TRACKED);
  REFUSED ("--channels is for a cache", "--channels", "file:///a", TRACKED);
}

/* Any line that begins like a link is one, however the rest looks. */
static void
test_lists (void)
{
  static const char text[] = "#EXTM3U\r\n#EXTINF:-1,One ppsp:no\r\nppsp:aa?x=1\r\n\r\n"
                             "http://example.org/\n  ppsp:bb  \nppsp:cc";
  g_autoptr (GPtrArray) links = cli_list_parse (text, strlen (text));
  g_assert_cmpuint (links->len, ==, 3);
  g_assert_cmpstr (links->pdata[0], ==, "ppsp:aa?x=1");
  g_assert_cmpstr (links->pdata[1], ==, "ppsp:bb");
  g_assert_cmpstr (links->pdata[2], ==, "ppsp:cc");
  g_autoptr (GPtrArray) none = cli_list_parse ("", 0);
  g_assert_cmpuint (none->len, ==, 0);
}

static void
on_list (GPtrArray *links, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  *(GPtrArray **)data = g_ptr_array_ref (links);
}

/* Where the limit goes through a link, that link is left out, not cut. */
static void
test_long_list (void)
{
  g_autoptr (GString) text = g_string_new (TRACKED "\n#");
  g_autoptr (GPtrArray) links = NULL;
  g_autofree char *name = NULL;
  int fd = g_file_open_tmp ("list-XXXXXX", &name, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_autofree char *filler =
      g_strnfill (CLI_LIST_MAX - text->len - strlen ("\n" LINK "?tr=http"), 'x');
  g_string_append_printf (text, "%s\n%s\n%s\n", filler, TRACKED, LINK);
  g_assert_true (g_file_set_contents (name, text->str, (gssize)text->len, NULL));
  g_autofree char *uri = g_filename_to_uri (name, NULL, NULL);
  g_autoptr (CliList) list = cli_list_new (uri, on_list, &links);
  cli_list_fetch (list);
  while (links == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (links->len, ==, 1);
  g_assert_cmpstr (links->pdata[0], ==, TRACKED);
  g_unlink (name);
}

static void
with_file (const char *text, void (*func) (const char *path))
{
  g_autoptr (GError) error = NULL;
  char *path = NULL;
  int fd = g_file_open_tmp ("ppsp-peer-XXXXXX.conf", &path, &error);
  g_assert_no_error (error);
  g_assert_true (g_close (fd, NULL));
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  func (path);
  g_unlink (path);
  g_free (path);
}

static void
read_good_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOptions) options = PARSE ("--config", path, "--peer", "127.0.0.1:1");
  g_assert_no_error (error);
  g_assert_cmpstr (options->output, ==, "/tmp/a b");
  g_assert_cmpstr (options->listen, ==, "127.0.0.1:1"); /* the command line wins */
  g_assert_true (options->seed);
  g_assert_false (options->verbose);
  g_assert_cmpuint (options->trackers->len, ==, 2);
  g_assert_cmpuint (options->peers->len, ==, 1);
}

static void
test_key_file_fills_what_is_not_said (void)
{
  with_file ("[peer]\noutput=/tmp/a b\npeer=127.0.0.1:2\nseed=true\n"
             "[swarm]\nlink=" LINK "\ntracker=https://a.example/;https://b.example/\n"
             "peers=192.0.2.1:7574\n",
             read_good_file);
}

static void
read_unknown_key (const char *path)
{
  REFUSED ("[peer] spead: there is no such option", "--config", path, TRACKED);
}

static void
read_bad_flag (const char *path)
{
  REFUSED ("seed", "--config", path, TRACKED);
}

static void
read_no_key_file (const char *path)
{
  REFUSED (path, "--config", path, TRACKED);
}

static void
test_wrong_key_files_are_told (void)
{
  with_file ("[peer]\nspead=true\n", read_unknown_key);
  with_file ("[peer]\nseed=perhaps\n", read_bad_flag);
  with_file ("this is no key file\n", read_no_key_file);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cli/options/all-of-them-arrive", test_all_options);
  g_test_add_func ("/cli/options/a-link-is-enough", test_a_link_is_enough);
  g_test_add_func ("/cli/options/limits-are-read-again", test_read_again);
  g_test_add_func ("/cli/options/cache", test_cache);
  g_test_add_func ("/cli/list/links-are-found", test_lists);
  g_test_add_func ("/cli/options/wrong-calls-are-told", test_wrong_calls_are_told);
  g_test_add_func ("/cli/options/key-file-fills-what-is-not-said",
                   test_key_file_fills_what_is_not_said);
  g_test_add_func ("/cli/options/wrong-key-files-are-told", test_wrong_key_files_are_told);
  g_test_add_func ("/cli/list/half-a-link-is-none", test_long_list);
  return g_test_run ();
}
