/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator may say of algorithms and sizes, and what is answered to the rest. */
#include "peer/origin/options.h"

#include <string.h>

static OriginOptions *
parse (const char *line, GError **error)
{
  g_autofree char *text = g_strconcat ("ppsp-origin ", line, NULL);
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  g_autofree char **argv = g_memdup2 (words, (g_strv_length (words) + 1) * sizeof (char *));
  char **at = argv;
  int argc = (int)g_strv_length (words);

  return origin_options_parse (&argc, &at, error);
}

static void
test_defaults (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (OriginOptions) options = parse ("--channel one", &error);

  g_assert_no_error (error);
  g_assert_cmpint (options->channel.method, ==, PEER_METHOD_UNIFIED_MERKLE);
  g_assert_cmpint (options->channel.signature, ==, PEER_SIGNATURE_ECDSAP256SHA256);
  g_assert_cmpint (options->channel.addressing, ==, PEER_ADDRESSING_CHUNKS64);
  g_assert_cmpuint (options->channel.chunk_size, ==, 1128);
  g_assert_cmpuint (options->channel.chunks_per_signature, ==, 64);
  g_assert_cmpint (options->file.method, ==, PEER_METHOD_MERKLE);
  g_assert_cmpint (options->file.addressing, ==, PEER_ADDRESSING_CHUNKS32);
  g_assert_cmpuint (options->file.chunk_size, ==, 1024);
  g_assert_cmpint (options->file.hash, ==, PEER_HASH_SHA256);
}

static void
test_algorithms (void)
{
  static const char *const hashes[] = {"sha1", "sha224", "sha256", "SHA384", "sha512"};
  static const char *const addressings[] = {"bins32", "bytes64", "chunks32", "bins64", "chunks64"};
  static const struct {
    const char *name;
    int number;
  } signatures[] = {
      {"rsasha1", 5}, {"rsasha256", 8}, {"ecdsap256sha256", 13}, {"ecdsap384sha384", 14}};

  for (unsigned i = 0; i < 5; i++) {
    g_autofree char *line = g_strdup_printf (
        "--hash %s --addressing %s --signature %s --integrity %s --file-chunk-size %u", hashes[i],
        addressings[i], signatures[i % 4].name,
        i == 4 ? "sign-all --benign-network" : "unified-merkle", 600 + i);
    g_autoptr (GError) error = NULL;
    g_autoptr (OriginOptions) options = parse (line, &error);

    g_assert_no_error (error);
    g_assert_cmpint (options->channel.hash, ==, i);
    g_assert_cmpint (options->file.hash, ==, i);
    g_assert_cmpint (options->channel.addressing, ==, i);
    g_assert_cmpint (options->file.addressing, ==, i);
    g_assert_cmpint (options->channel.signature, ==, signatures[i % 4].number);
    g_assert_cmpint (options->channel.method, ==, i == 4 ? 2 : 3);
    g_assert_cmpuint (options->channel.chunks_per_signature, ==, i == 4 ? 1 : 64);
    g_assert_cmpuint (options->file.chunk_size, ==, 600 + i);
  }
}

static void
test_variable (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (OriginOptions) options = parse ("--chunk-size variable", &error);

  g_assert_no_error (error);
  g_assert_true (peer_content_is_variable (&options->channel));
  g_assert_false (peer_content_is_variable (&options->file));
}

/* One line, which names the option. */
static void
test_refused (void)
{
  static const char *const lines[] = {
      "--hash md5",
      "--addressing chunks",
      "--signature p256",
      "--integrity none",
      "--integrity sign-all",
      "--chunk-size 1000",
      "--chunk-size 1129",
      "--chunk-size 0",
      "--chunk-size 1316",
      "--chunk-size 188.",
      "--chunk-size many",
      "--file-chunk-size 1400",
      "--file-chunk-size 0",
      "--file-chunk-size 1",
      "--chunks-per-signature 3",
      "--chunk-size variable --addressing bytes64",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (OriginOptions) options = parse (lines[i], &error);
    g_autofree char *option = g_strndup (lines[i], strcspn (lines[i], " "));

    if (options != NULL)
      g_error ("%s was taken", lines[i]);
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, option));
    g_assert_null (strchr (error->message, '\n'));
  }
}

/* A broadcast becomes content of another ID, which nobody else may have. */
static void
test_film_ids (void)
{
  g_autofree char *longest = g_strnfill (59, 'a');
  g_autofree char *fits = g_strdup_printf ("--until manual --channel %s --channel two", longest);
  g_autofree char *too_long = g_strdup_printf ("--until manual --channel %sa", longest);
  const struct {
    const char *line, *said;
  } cases[] = {
      {"--channel one --file one-film,/a", NULL},
      {fits, NULL},
      {"--channel one --until manual --file one-film,/a", "another ID"},
      {"--channel one-film --channel one --until one=manual", "another ID"},
      {"--channel one --pull one,http://a/", "\"one\" is used twice"},
      {too_long, "shorter ID"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (OriginOptions) options = parse (cases[i].line, &error);

    g_assert_cmpint (options == NULL, ==, cases[i].said != NULL);
    if (cases[i].said == NULL)
      g_assert_no_error (error);
    else
      g_assert_nonnull (strstr (error->message, cases[i].said));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/origin/options/defaults-are-those-of-table-8", test_defaults);
  g_test_add_func ("/origin/options/every-algorithm-has-a-name", test_algorithms);
  g_test_add_func ("/origin/options/chunks-of-variable-size", test_variable);
  g_test_add_func ("/origin/options/what-cannot-be-is-refused", test_refused);
  g_test_add_func ("/origin/options/film-has-an-id-of-its-own", test_film_ids);
  return g_test_run ();
}
