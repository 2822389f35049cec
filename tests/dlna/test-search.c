/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/search.h"
#include "tests/dlna/fake-library.h"
#include <string.h>

static void
test_matches (void)
{
  static const struct {
    const char *criteria;
    bool channel, film, folder;
  } rows[] = {
      {"*", true, true, true},
      {" * ", true, true, true},
      {"upnp:class derivedfrom \"object.item\"", true, true, false},
      {"upnp:class derivedfrom \"object.item.videoItem\"", true, true, false},
      {"upnp:class derivedfrom \"object.item.video\"", false, false, false},
      {"upnp:class = \"object.item.videoItem\"", false, true, false},
      {"upnp:class derivedfrom \"object.container\"", false, false, true},
      {"dc:title contains \"NEWS\"", true, false, false},
      {"dc:title doesNotContain \"news\"", false, true, true},
      {"dc:title=\"the \\\"film\\\" \\\\ of it\"", false, true, false},
      {"dc:title != \"live\"", true, true, false},
      {"dc:title < \"m\"", false, false, true},
      {"dc:title >= \"m\"", true, true, false},
      {"@refID exists false", true, true, true},
      {"@refID exists true", false, false, false},
      {"upnp:channelName exists true", true, false, false},
      {"unknown:thing = \"x\"", false, false, false},
      {"@id = \"news\" or @id = \"film\" and dc:title = \"nothing\"", true, false, false},
      {"(@id = \"news\" or @id = \"film\") and dc:title contains \"film\"", false, true, false},
      {"upnp:class derivedfrom \"object.item.videoItem\" and @refID exists false", true, true,
       false},
  };
  g_autoptr (DlnaItem) channel = fake_library_channel ("news", "News at ten", 1);
  g_autoptr (DlnaItem) film = fake_library_film ("film", "The \"film\" \\ of it", 5);
  g_autoptr (DlnaItem) folder = fake_library_folder ("live", "Live");

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (DlnaSearch) search = dlna_search_parse (rows[i].criteria);
    g_test_message ("%s", rows[i].criteria);
    g_assert_nonnull (search);
    g_assert_cmpint (dlna_search_matches (search, channel), ==, rows[i].channel);
    g_assert_cmpint (dlna_search_matches (search, film), ==, rows[i].film);
    g_assert_cmpint (dlna_search_matches (search, folder), ==, rows[i].folder);
  }
}

static void
test_refused (void)
{
  static const char *const rows[] = {
      "",
      " ",
      "**",
      "* and *",
      "dc:title",
      "dc:title contains",
      "dc:title contains news",
      "dc:title contains \"news",
      "dc:title contains \"news\\",
      "dc:title contains \"a\" and",
      "and dc:title contains \"a\"",
      "dc:title contains \"a\" dc:title contains \"b\"",
      "(dc:title contains \"a\"",
      "dc:title contains \"a\")",
      "()",
      "dc:title exists maybe",
      "dc:title is \"a\"",
      "dc:title = \"\xff\"",
  };
  g_autofree char *deep = g_strnfill (17, '(');
  g_autofree char *deeper = g_strconcat (deep, "@id=\"a\")))))))))))))))))", NULL);
  g_autofree char *just = g_strconcat (deep + 1, "@id=\"a\"))))))))))))))))", NULL);
  g_autofree char *spaces = g_strnfill (5000, ' ');
  g_autofree char *huge = g_strconcat (spaces, "*", NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (DlnaSearch) search = dlna_search_parse (rows[i]);
    g_assert_null (search);
  }
  g_assert_null (dlna_search_parse (deeper));
  g_assert_null (dlna_search_parse (huge));
  dlna_search_free (dlna_search_parse (just)); /* depth 16 is allowed: no leak, no error */
  g_assert_true (strlen (just) < strlen (deeper));
}

/* Each cut of a good criterion, and each of its bytes changed: no crash, and under ASan no leak. */
static void
test_mutations (void)
{
  static const char good[] = "(@id = \"a\" or dc:title contains \"\\\"b\") and @refID exists false";
  g_autoptr (DlnaItem) item = fake_library_channel ("a", "A", 1);
  char text[sizeof good];

  for (size_t n = 0; n < sizeof good; n++) {
    g_autofree char *cut = g_strndup (good, n);
    dlna_search_free (dlna_search_parse (cut));
  }
  for (size_t i = 0; i + 1 < sizeof good; i++)
    for (int c = 1; c < 256; c++) {
      DlnaSearch *search;
      memcpy (text, good, sizeof good);
      text[i] = (char)c;
      search = dlna_search_parse (text);
      if (search != NULL)
        (void)dlna_search_matches (search, item);
      dlna_search_free (search);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/search/matches", test_matches);
  g_test_add_func ("/dlna/search/what-does-not-read-is-refused", test_refused);
  g_test_add_func ("/dlna/search/mutations", test_mutations);
  return g_test_run ();
}
