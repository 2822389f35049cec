/* SPDX-License-Identifier: Apache-2.0 */
/* Batches over loopback, and what the kernel may answer to a sendmmsg: the linker puts our own in
 * its place (--wrap), which refuses what the test's script says and hands on the rest. */
#include "peer/net/socket.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>

int __real_sendmmsg (int fd, struct mmsghdr *messages, unsigned n, int flags);
int __wrap_sendmmsg (int fd, struct mmsghdr *messages, unsigned n, int flags);

static struct {
  int code;             /* errno that the next calls get; 0 = none */
  unsigned times;       /* so often; UINT_MAX = always */
  bool runs_only;       /* only for a call whose first message is a run */
  unsigned most;        /* messages that a call takes; 0 = all */
  unsigned calls, runs; /* seen */
} script;

int
__wrap_sendmmsg (int fd, struct mmsghdr *messages, unsigned n, int flags)
{
  bool run = messages[0].msg_hdr.msg_controllen > 0;
  script.calls++;
  script.runs += run;
  if (script.code != 0 && script.times > 0 && (run || !script.runs_only)) {
    script.times--;
    errno = script.code;
    return -1;
  }
  return __real_sendmmsg (fd, messages, script.most > 0 ? MIN (n, script.most) : n, flags);
}

typedef struct {
  GPtrArray *datagrams; /* GBytes */
  GArray *from;         /* PeerAddress */
} Heard;

static void
heard_init (Heard *self)
{
  self->datagrams = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->from = g_array_new (FALSE, FALSE, sizeof (PeerAddress));
}

static void
heard_clear (Heard *self)
{
  g_ptr_array_unref (self->datagrams);
  g_array_unref (self->from);
}

static void
hear (gpointer data, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  Heard *self = data;
  g_ptr_array_add (self->datagrams, g_bytes_new (bytes, n));
  g_array_append_val (self->from, *from);
}

static NetSocket *
open_socket (const char *address)
{
  GError *error = NULL;
  NetSocket *self = net_socket_new (address, &error);
  g_assert_no_error (error);
  g_assert_nonnull (self);
  return self;
}

static PeerAddress
address_of (const char *ip, const NetSocket *of)
{
  PeerAddress address;
  g_assert_true (peer_address_parse_ip (ip, net_socket_port (of), &address));
  return address;
}

static uint8_t
pattern (unsigned datagram, unsigned byte)
{
  return (uint8_t)(datagram * 31 + byte * 7);
}

static void
add (NetSocket *self, const PeerAddress *to, unsigned number, unsigned size)
{
  uint8_t *room = net_socket_room (self);
  g_assert_nonnull (room);
  for (unsigned i = 0; i < size; i++)
    room[i] = pattern (number, i);
  net_socket_add (self, to, size);
}

static void
assert_datagram (const Heard *heard, unsigned i, unsigned number, unsigned size)
{
  gsize n;
  const uint8_t *bytes = g_bytes_get_data (g_ptr_array_index (heard->datagrams, i), &n);
  g_assert_cmpuint (n, ==, size);
  for (unsigned k = 0; k < size; k++)
    g_assert_cmpuint (bytes[k], ==, pattern (number, k));
}

/* Long runs, runs with a shorter end, growing sizes, single ones: all that run_end() decides. */
static unsigned
size_of (unsigned number)
{
  if (number < 70)
    return 1100;
  if (number < 80)
    return number == 75 ? 300 : 1050;
  if (number < 90)
    return 100 + number;
  return number % 3 == 0 ? PEER_DATAGRAM_MAX : 40;
}

#define N_MIXED 128

static void
send_mixed (NetSocket *self, const PeerAddress *to)
{
  for (unsigned i = 0; i < N_MIXED; i++)
    add (self, to, i, size_of (i));
  g_assert_null (net_socket_room (self));
}

static void
assert_mixed (NetSocket *receiver, const PeerAddress *from)
{
  Heard heard;
  heard_init (&heard);
  while (net_socket_receive (receiver, 1000, hear, &heard) > 0)
    ;
  g_assert_cmpuint (heard.datagrams->len, ==, N_MIXED);
  for (unsigned i = 0; i < N_MIXED; i++) {
    assert_datagram (&heard, i, i, size_of (i));
    g_assert_true (peer_address_equal (&g_array_index (heard.from, PeerAddress, i), from));
  }
  heard_clear (&heard);
}

static void
script_clear (void)
{
  memset (&script, 0, sizeof script);
}

static void
check_batch (const char *listen, const char *send_from, const char *ip, bool gso)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket (listen);
  g_autoptr (NetSocket) sender = open_socket (send_from);
  NetSocketStats stats;
  net_socket_stats (sender, &stats);
  if (!gso)
    net_socket_disable_gso (sender);
  bool runs = gso && stats.gso;
  PeerAddress to = address_of (ip, receiver), from = address_of (ip, sender);
  send_mixed (sender, &to);
  g_assert_true (net_socket_is_pending (sender));
  g_assert_true (net_socket_flush (sender));
  g_assert_false (net_socket_is_pending (sender));
  assert_mixed (receiver, &from);
  net_socket_stats (sender, &stats);
  g_assert_cmpuint (stats.sent, ==, N_MIXED);
  g_assert_cmpuint (stats.send_errors, ==, 0);
  g_assert_cmpuint (stats.send_calls, ==, script.calls);
  if (runs)
    g_assert_cmpuint (script.runs, >, 0);
  else
    g_assert_cmpuint (script.runs, ==, 0);
}

static void
test_v4 (void)
{
  check_batch ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", true);
}

static void
test_v6 (void)
{
  check_batch ("[::1]:0", "[::1]:0", "::1", true);
}

static void
test_both_families (void)
{
  check_batch ("[::]:0", "127.0.0.1:0", "127.0.0.1", true);
  check_batch ("127.0.0.1:0", "[::]:0", "127.0.0.1", true);
  check_batch ("[::]:0", "[::1]:0", "::1", true);
}

static void
test_without_gso (void)
{
  check_batch ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", false);
  check_batch ("[::1]:0", "[::1]:0", "::1", false);
}

static void
test_equal_sizes_are_few_calls (void)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver);
  for (unsigned i = 0; i < 100; i++)
    add (sender, &to, i, 1100);
  g_assert_true (net_socket_flush (sender));
  Heard heard;
  heard_init (&heard);
  net_socket_receive (receiver, 100, hear, &heard);
  g_assert_cmpuint (heard.datagrams->len, ==, 100);
  NetSocketStats out, in;
  net_socket_stats (sender, &out);
  net_socket_stats (receiver, &in);
  g_assert_cmpuint (out.send_calls, <=, out.gso ? 1 : 4);
  g_assert_cmpuint (in.receive_calls, <=, in.gro ? 2 : 8);
  heard_clear (&heard);
}

/* A batch that came short is the last: no call is made only to hear "nothing". */
static void
test_short_batch_ends_receiving (void)
{
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver);
  Heard heard;
  heard_init (&heard);
  add (sender, &to, 0, 900);
  g_assert_true (net_socket_flush (sender));
  g_assert_cmpuint (net_socket_receive (receiver, 256, hear, &heard), ==, 1);
  NetSocketStats stats;
  net_socket_stats (receiver, &stats);
  g_assert_cmpuint (stats.receive_calls, ==, 1);
  heard_clear (&heard);
}

static void
test_receiving_stops_soon_after_max (void)
{
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver);
  for (unsigned round = 0; round < 8; round++) {
    for (unsigned i = 0; i < 64; i++)
      add (sender, &to, i, 200);
    g_assert_true (net_socket_flush (sender));
  }
  Heard heard;
  heard_init (&heard);
  unsigned first = net_socket_receive (receiver, 100, hear, &heard);
  g_assert_cmpuint (first, >=, 100);
  g_assert_cmpuint (heard.datagrams->len, ==, first);
  while (net_socket_receive (receiver, 100, hear, &heard) > 0)
    ;
  g_assert_cmpuint (heard.datagrams->len, ==, 512);
  heard_clear (&heard);
}

static void
test_full_kernel_keeps_the_rest (void)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver), from = address_of ("127.0.0.1", sender);
  send_mixed (sender, &to);
  script.code = EAGAIN;
  script.times = 1;
  g_assert_false (net_socket_flush (sender));
  g_assert_true (net_socket_is_pending (sender));
  g_assert_null (net_socket_room (sender));
  script.most = 3; /* and then it takes a few messages at a time */
  g_assert_true (net_socket_flush (sender));
  assert_mixed (receiver, &from);
}

static void
check_refused_runs (int code, unsigned times, bool gso_after)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  NetSocketStats stats;
  net_socket_stats (sender, &stats);
  if (!stats.gso) {
    g_test_skip ("this kernel has no UDP_SEGMENT");
    return;
  }
  PeerAddress to = address_of ("127.0.0.1", receiver), from = address_of ("127.0.0.1", sender);
  script.code = code;
  script.times = times;
  script.runs_only = true;
  send_mixed (sender, &to);
  g_assert_true (net_socket_flush (sender));
  assert_mixed (receiver, &from);
  net_socket_stats (sender, &stats);
  g_assert_cmpuint (stats.send_errors, ==, 0);
  g_assert_true (stats.gso == gso_after);
}

static void
test_refused_runs_go_out_one_by_one (void)
{
  check_refused_runs (EIO, 1, false);
  check_refused_runs (EOPNOTSUPP, 1, false);
  check_refused_runs (EINVAL, 2, true);
  check_refused_runs (EMSGSIZE, 2, true);
}

static void
test_runs_refused_again_and_again_are_given_up (void)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver);
  script.code = EINVAL;
  script.times = UINT_MAX;
  script.runs_only = true;
  for (unsigned round = 0; round < 30; round++) {
    add (sender, &to, 0, 100);
    add (sender, &to, 1, 100);
    g_assert_true (net_socket_flush (sender));
  }
  NetSocketStats stats;
  net_socket_stats (sender, &stats);
  g_assert_false (stats.gso);
  g_assert_cmpuint (stats.sent, ==, 60);
  g_assert_cmpuint (script.runs, <=, 16);
}

/* What the kernel refuses costs that datagram, and no other in the batch. */
static void
test_send_errors_are_counted (void)
{
  script_clear ();
  g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
  g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
  PeerAddress to = address_of ("127.0.0.1", receiver), other_family = address_of ("::1", receiver);
  PeerAddress broadcast = address_of ("255.255.255.255", receiver);
  add (sender, &other_family, 0, 500);
  add (sender, &to, 1, 500);
  add (sender, &broadcast, 2, 500);
  add (sender, &broadcast, 3, 500);
  add (sender, &to, 4, 500);
  g_assert_true (net_socket_flush (sender));
  Heard heard;
  heard_init (&heard);
  g_assert_cmpuint (net_socket_receive (receiver, 256, hear, &heard), ==, 2);
  assert_datagram (&heard, 0, 1, 500);
  assert_datagram (&heard, 1, 4, 500);
  NetSocketStats stats;
  net_socket_stats (sender, &stats);
  g_assert_cmpuint (stats.send_errors, ==, 3);
  g_assert_cmpuint (stats.sent, ==, 2);
  heard_clear (&heard);
}

static void
test_every_errno_ends (void)
{
  static const int codes[] = {EPERM,        ENETUNREACH,   EHOSTUNREACH, EMSGSIZE, EACCES,
                              ECONNREFUSED, EADDRNOTAVAIL, ENOBUFS,      ENOMEM,   EINVAL};
  for (unsigned i = 0; i < G_N_ELEMENTS (codes); i++) {
    script_clear ();
    g_autoptr (NetSocket) receiver = open_socket ("127.0.0.1:0");
    g_autoptr (NetSocket) sender = open_socket ("127.0.0.1:0");
    PeerAddress to = address_of ("127.0.0.1", receiver);
    send_mixed (sender, &to);
    script.code = codes[i];
    script.times = UINT_MAX;
    g_assert_true (net_socket_flush (sender));
    NetSocketStats stats;
    net_socket_stats (sender, &stats);
    g_assert_cmpuint (stats.send_errors, ==, N_MIXED);
    g_assert_nonnull (net_socket_room (sender));
  }
}

static void
test_port_in_use_is_told (void)
{
  g_autoptr (NetSocket) first = open_socket ("127.0.0.1:0");
  g_autofree char *address = g_strdup_printf ("127.0.0.1:%u", net_socket_port (first));
  g_autoptr (GError) error = NULL;
  g_assert_null (net_socket_new (address, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, address));
  g_assert_nonnull (strstr (error->message, "choose another port"));
}

static void
test_bad_addresses_are_told (void)
{
  static const char *const addresses[] = {"", "localhost:7574", "127.0.0.1", "127.0.0.1:65536",
                                          "192.0.2.1:0"};
  for (unsigned i = 0; i < G_N_ELEMENTS (addresses); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (net_socket_new (addresses[i], &error));
    g_assert_nonnull (error);
    g_assert_true (g_str_has_prefix (error->message, addresses[i]));
  }
}

static void
test_receive_buffer_is_large (void)
{
  g_autoptr (NetSocket) self = open_socket ("127.0.0.1:0");
  NetSocketStats stats;
  net_socket_stats (self, &stats);
  g_autofree char *text = NULL;
  int most = 0;
  if (g_file_get_contents ("/proc/sys/net/core/rmem_max", &text, NULL, NULL))
    most = atoi (text);
  g_assert_cmpint (stats.receive_buffer, >=, MIN (most, 4 << 20));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/socket/v4-batch-arrives", test_v4);
  g_test_add_func ("/net/socket/v6-batch-arrives", test_v6);
  g_test_add_func ("/net/socket/one-socket-serves-both-families", test_both_families);
  g_test_add_func ("/net/socket/batch-arrives-without-gso", test_without_gso);
  g_test_add_func ("/net/socket/equal-sizes-are-few-calls", test_equal_sizes_are_few_calls);
  g_test_add_func ("/net/socket/short-batch-ends-receiving", test_short_batch_ends_receiving);
  g_test_add_func ("/net/socket/receiving-stops-soon-after-max",
                   test_receiving_stops_soon_after_max);
  g_test_add_func ("/net/socket/full-kernel-keeps-the-rest", test_full_kernel_keeps_the_rest);
  g_test_add_func ("/net/socket/refused-runs-go-out-one-by-one",
                   test_refused_runs_go_out_one_by_one);
  g_test_add_func ("/net/socket/runs-refused-again-and-again-are-given-up",
                   test_runs_refused_again_and_again_are_given_up);
  g_test_add_func ("/net/socket/send-errors-are-counted", test_send_errors_are_counted);
  g_test_add_func ("/net/socket/every-errno-ends", test_every_errno_ends);
  g_test_add_func ("/net/socket/port-in-use-is-told", test_port_in_use_is_told);
  g_test_add_func ("/net/socket/bad-addresses-are-told", test_bad_addresses_are_told);
  g_test_add_func ("/net/socket/receive-buffer-is-large", test_receive_buffer_is_large);
  return g_test_run ();
}
