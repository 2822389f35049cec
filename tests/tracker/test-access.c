/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's lists: what a file says, and what is refused in it. */
#include "peer/trackerd/access.h"
#include "peer/trackerd/prefixes.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  char *folder, *path;
} Scratch;

static Scratch
scratch_new (void)
{
  g_autoptr (GError) error = NULL;
  Scratch self = {.folder = g_dir_make_tmp ("ppsp-XXXXXX", &error)};
  g_assert_no_error (error);
  self.path = g_build_filename (self.folder, "access", NULL);
  return self;
}

static void
scratch_clear (Scratch *self)
{
  g_remove (self->path);
  g_rmdir (self->folder);
  g_free (self->path);
  g_free (self->folder);
}

static TrackerdAccess *
load (const char *text, TrackerdPolicy otherwise, GError **error)
{
  g_autoptr (GError) failure = NULL;
  Scratch scratch = scratch_new ();
  g_file_set_contents (scratch.path, text, -1, &failure);
  g_assert_no_error (failure);
  TrackerdAccess *access = trackerd_access_load (scratch.path, otherwise, error);
  scratch_clear (&scratch);
  return access;
}

static TrackerdAccess *
good (const char *text)
{
  g_autoptr (GError) error = NULL;
  TrackerdAccess *access = load (text, TRACKERD_SWARM_OPEN, &error);
  g_assert_no_error (error);
  return access;
}

/* "+a" = JOIN, "-a" = LEAVE, "?a" = FIND, "=a" = STAT_REPORT, "" = a keep-alive. */
static TrackerStatus
judge (const TrackerdAccess *access, const char *account, const char *ip, const char *what)
{
  PeerAddress from;
  g_assert_true (peer_address_parse_ip (ip, 4711, &from));
  TrackerRequestType type = *what == '?'                 ? TRACKER_REQUEST_FIND
                            : *what == '=' || *what == 0 ? TRACKER_REQUEST_STAT_REPORT
                                                         : TRACKER_REQUEST_CONNECT;
  g_autoptr (TrackerRequest) request = tracker_request_new (type, "t", "p");
  request->account = g_strdup (account);
  g_auto (GStrv) words = g_strsplit (what, " ", -1);
  for (char **word = words; *word != NULL && **word != 0; word++)
    tracker_request_add_swarm (request, *word + 1)->action =
        **word == '-' ? TRACKER_ACTION_LEAVE : TRACKER_ACTION_JOIN;
  return trackerd_access_judge (access, request, &from);
}

static void
swarms_are_open_or_closed (void)
{
  static const char text[] = "[tracker]\n"
                             "deny-accounts = mallory; trudy\n"
                             "deny-addresses = 192.0.2.0/24; 2001:db8:66::/48; 198.51.100.7\n"
                             "[swarm closed]\n"
                             "[swarm few]\naccess=closed\naccounts=alice;bob\n"
                             "[swarm gone]\naccess=refused\n";
  static const struct {
    const char *account, *ip, *what;
    TrackerStatus status;
  } rows[] = {
      {NULL, "203.0.113.1", "+other", TRACKER_STATUS_OK},
      {NULL, "203.0.113.1", "", TRACKER_STATUS_OK},
      {NULL, "203.0.113.1", "+closed", TRACKER_STATUS_UNAUTHORIZED},
      {NULL, "203.0.113.1", "?closed", TRACKER_STATUS_UNAUTHORIZED},
      {NULL, "203.0.113.1", "=closed", TRACKER_STATUS_UNAUTHORIZED},
      {"carol", "203.0.113.1", "+closed", TRACKER_STATUS_OK},
      {NULL, "203.0.113.1", "-closed", TRACKER_STATUS_OK}, /* the registry knows whose it is */
      {NULL, "203.0.113.1", "-other +closed", TRACKER_STATUS_UNAUTHORIZED},
      {NULL, "203.0.113.1", "+few", TRACKER_STATUS_UNAUTHORIZED},
      {"alice", "203.0.113.1", "+few", TRACKER_STATUS_OK},
      {"bob", "203.0.113.1", "?few", TRACKER_STATUS_OK},
      {"carol", "203.0.113.1", "+few", TRACKER_STATUS_FORBIDDEN},
      {"carol", "203.0.113.1", "+other +few", TRACKER_STATUS_FORBIDDEN},
      {NULL, "203.0.113.1", "+gone", TRACKER_STATUS_FORBIDDEN},
      {"alice", "203.0.113.1", "+gone", TRACKER_STATUS_FORBIDDEN},
      {"mallory", "203.0.113.1", "+other", TRACKER_STATUS_FORBIDDEN},
      {"trudy", "203.0.113.1", "", TRACKER_STATUS_FORBIDDEN},
      {NULL, "192.0.2.9", "+other", TRACKER_STATUS_FORBIDDEN},
      {NULL, "192.0.3.9", "+other", TRACKER_STATUS_OK},
      {"alice", "192.0.2.9", "+few", TRACKER_STATUS_FORBIDDEN},
      {NULL, "2001:db8:66:1::1", "+other", TRACKER_STATUS_FORBIDDEN},
      {NULL, "2001:db8:67::1", "+other", TRACKER_STATUS_OK},
      {NULL, "198.51.100.7", "+other", TRACKER_STATUS_FORBIDDEN},
      {NULL, "198.51.100.8", "+other", TRACKER_STATUS_OK},
  };
  g_autoptr (TrackerdAccess) access = good (text);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_test_message ("%s %s %s", rows[i].account, rows[i].ip, rows[i].what);
    g_assert_cmpint (judge (access, rows[i].account, rows[i].ip, rows[i].what), ==, rows[i].status);
  }
}

static void
what_is_not_listed_has_a_rule (void)
{
  static const struct {
    const char *text;
    TrackerdPolicy otherwise;
    TrackerStatus nobody, somebody, idle;
  } rows[] = {
      {"", TRACKERD_SWARM_OPEN, TRACKER_STATUS_OK, TRACKER_STATUS_OK, TRACKER_STATUS_OK},
      {"", TRACKERD_SWARM_CLOSED, TRACKER_STATUS_UNAUTHORIZED, TRACKER_STATUS_OK,
       TRACKER_STATUS_UNAUTHORIZED},
      {"[tracker]\nswarms=open\n", TRACKERD_SWARM_CLOSED, TRACKER_STATUS_OK, TRACKER_STATUS_OK,
       TRACKER_STATUS_OK},
      {"[tracker]\nswarms=closed\n", TRACKERD_SWARM_OPEN, TRACKER_STATUS_UNAUTHORIZED,
       TRACKER_STATUS_OK, TRACKER_STATUS_UNAUTHORIZED},
      {"[tracker]\nswarms=refused\n", TRACKERD_SWARM_OPEN, TRACKER_STATUS_FORBIDDEN,
       TRACKER_STATUS_FORBIDDEN, TRACKER_STATUS_OK},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TrackerdAccess) access = load (rows[i].text, rows[i].otherwise, &error);
    g_assert_no_error (error);
    g_assert_cmpint (judge (access, NULL, "203.0.113.1", "+a"), ==, rows[i].nobody);
    g_assert_cmpint (judge (access, "alice", "203.0.113.1", "+a"), ==, rows[i].somebody);
    g_assert_cmpint (judge (access, NULL, "203.0.113.1", ""), ==, rows[i].idle);
  }
  g_autoptr (TrackerdAccess) none = trackerd_access_load (NULL, TRACKERD_SWARM_OPEN, NULL);
  g_assert_cmpint (judge (none, NULL, "203.0.113.1", "+a"), ==, TRACKER_STATUS_OK);
  g_assert_false (trackerd_access_has_tokens (none));
  g_assert_false (trackerd_access_has_certificates (none));
}

static void
members_are_judged_alike (void)
{
  g_autoptr (TrackerdAccess) access =
      good ("[tracker]\ndeny-addresses=192.0.2.0/24\n[swarm few]\naccounts=alice\n");
  PeerAddress here, there;
  g_assert_true (peer_address_parse_ip ("203.0.113.1", 0, &here));
  g_assert_true (peer_address_parse_ip ("192.0.2.1", 0, &there));
  TrackerMemberInfo member = {.swarm_id = "few", .peer_id = "p", .account = "alice", .from = &here};
  g_assert_true (trackerd_access_allows (&member, access));
  member.account = NULL;
  g_assert_false (trackerd_access_allows (&member, access));
  member.remote = true; /* another tracker has let it in */
  g_assert_true (trackerd_access_allows (&member, access));
  member.from = &there;
  g_assert_false (trackerd_access_allows (&member, access));
  member.from = &here;
  member.remote = false;
  member.swarm_id = "other";
  g_assert_true (trackerd_access_allows (&member, access));
  member.from = &there;
  g_assert_false (trackerd_access_allows (&member, access));
}

static void
tokens_name_accounts (void)
{
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "secret", -1);
  g_autofree char *upper = g_ascii_strup (hash, -1);
  g_autofree char *text = g_strdup_printf ("[tokens]\nalice=%s\n", upper);
  g_autoptr (TrackerdAccess) access = good (text);
  g_autofree char *account = trackerd_access_bearer (access, "secret");
  g_assert_cmpstr (account, ==, "alice");
  g_assert_null (trackerd_access_bearer (access, "secre"));
  g_assert_null (trackerd_access_bearer (access, ""));
  g_assert_null (trackerd_access_bearer (access, hash)); /* the file is not the token */
  g_assert_true (trackerd_access_has_tokens (access));
}

static bool
note_list (const char *swarm_id, TrackerdPolicy policy, int accounts, void *data)
{
  g_string_append_printf (data, "%s:%d:%d ", swarm_id, (int)policy, accounts);
  return true;
}

static void
lists_can_be_shown (void)
{
  g_autoptr (TrackerdAccess) access =
      good ("[tracker]\nswarms=refused\ndeny-accounts=m;n\ndeny-addresses=::/0\n"
            "[swarm 1111]\naccess=open\n");
  g_autoptr (GString) list = g_string_new (NULL);
  TrackerdAccessInfo info;
  trackerd_access_info (access, &info);
  g_assert_cmpint (info.otherwise, ==, TRACKERD_SWARM_REFUSED);
  g_assert_cmpuint (info.swarms, ==, 1);
  g_assert_cmpuint (info.denied_accounts, ==, 2);
  g_assert_cmpuint (info.denied_addresses, ==, 1);
  trackerd_access_list (access, note_list, list);
  g_assert_cmpstr (list->str, ==, "1111:0:-1 ");
}

static void
what_is_wrong_is_named (void)
{
  static const char *const rows[][2] = {
      {"[tracker]\nswarm=open\n", "[tracker] swarm: there is no such key"},
      {"[tracker]\nswarms=ajar\n", "[tracker] swarms: 'ajar'"},
      {"[tracker]\ndeny-addresses=192.0.2.1/24\n", "[tracker] deny-addresses: '192.0.2.1/24'"},
      {"[tracker]\ndeny-addresses=192.0.2.0/33\n", "'192.0.2.0/33'"},
      {"[tracker]\ndeny-addresses=2001:db8::/129\n", "'2001:db8::/129'"},
      {"[tracker]\ndeny-addresses=example.com\n", "'example.com'"},
      {"[tracker]\ndeny-addresses=192.0.2.0/\n", "'192.0.2.0/'"},
      {"[tracker]\ndeny-accounts=a:b\n", "[tracker] deny-accounts: 'a:b'"},
      {"[tracker]\ndeny-accounts=a;;b\n", "[tracker] deny-accounts: ''"},
      {"[swarms]\n", "[swarms] there is no such section"},
      {"[swarm ]\n", "[swarm ]"},
      {"[swarm a]\nallow=x\n", "[swarm a] allow: there is no such key"},
      {"[tokens]\nalice=secret\n", "[tokens] alice: expected a SHA-256"},
      {"[tokens]\na=" /* 64 digits */
       "0000000000000000000000000000000000000000000000000000000000000000\n"
       "b=0000000000000000000000000000000000000000000000000000000000000000\n",
       "[tokens] b: another account has the same"},
      {"[certificates]\nauthority=ca.pem\n", "[certificates] authority: 'ca.pem'"},
      {"[certificates]\nauthority=/nonexistent\n", "/nonexistent"},
      {"[certificates]\nauthority=/dev/null\n",
       "[certificates] authority: cannot read /dev/null: "},
      {"[tokens]\nsecret\n", ": line 2: "},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (load (rows[i][0], TRACKERD_SWARM_OPEN, &error));
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, rows[i][1]));
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
prefixes_hold_what_is_in_them (void)
{
  static const struct {
    const char *prefix, *inside, *outside;
  } rows[] = {
      {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
      {"::/0", "203.0.113.9", NULL},
      {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
      {"10.64.0.0/10", "10.127.255.255", "10.128.0.0"},
      {"10.0.0.1", "10.0.0.1", "10.0.0.0"},
      {"10.0.0.1/32", "10.0.0.1", "10.0.0.2"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerdPrefixes) prefixes = trackerd_prefixes_new ();
    g_autoptr (GError) error = NULL;
    PeerAddress inside, outside;
    g_assert_true (trackerd_prefixes_add (prefixes, rows[i].prefix, &error));
    g_assert_true (trackerd_prefixes_add (prefixes, rows[i].prefix, &error)); /* twice is once */
    g_assert_no_error (error);
    g_assert_cmpuint (trackerd_prefixes_size (prefixes), ==, 1);
    g_assert_true (peer_address_parse_ip (rows[i].inside, 4711, &inside));
    g_assert_true (trackerd_prefixes_has (prefixes, &inside));
    if (rows[i].outside == NULL)
      continue;
    g_assert_true (peer_address_parse_ip (rows[i].outside, 4711, &outside));
    g_assert_false (trackerd_prefixes_has (prefixes, &outside));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/access/swarms-are-open-or-closed", swarms_are_open_or_closed);
  g_test_add_func ("/tracker/access/what-is-not-listed-has-a-rule", what_is_not_listed_has_a_rule);
  g_test_add_func ("/tracker/access/members-are-judged-alike", members_are_judged_alike);
  g_test_add_func ("/tracker/access/tokens-name-accounts", tokens_name_accounts);
  g_test_add_func ("/tracker/access/lists-can-be-shown", lists_can_be_shown);
  g_test_add_func ("/tracker/access/what-is-wrong-is-named", what_is_wrong_is_named);
  g_test_add_func ("/tracker/access/prefixes-hold-what-is-in-them", prefixes_hold_what_is_in_them);
  return g_test_run ();
}
