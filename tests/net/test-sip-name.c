/* SPDX-License-Identifier: Apache-2.0 */
/* A tracker whose name leads to two addresses, of which it is at the second. */
#include "peer/net/tracker.h"
#include "tests/lib/wait.h"
#include "tests/net/sip-wire.h"

/* --- who says where a name leads ------------------------------------------------------------ */

typedef struct {
  GResolver parent;
} Names;
typedef struct {
  GResolverClass parent;
} NamesClass;
static GType names_get_type (void);
G_DEFINE_TYPE (Names, names, G_TYPE_RESOLVER)

static void
look_up (GResolver *resolver, const char *host, GCancellable *cancellable, GAsyncReadyCallback func,
         gpointer data)
{
  g_autoptr (GTask) task = g_task_new (resolver, cancellable, func, data);
  GList *found = NULL;
  found = g_list_append (found, g_inet_address_new_from_string ("127.0.0.2"));
  found = g_list_append (found, g_inet_address_new_from_string ("127.0.0.1"));
  g_task_return_pointer (task, found, (GDestroyNotify)g_resolver_free_addresses);
}

static GList *
look_up_finish (GResolver *resolver, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
names_class_init (NamesClass *class)
{
  GResolverClass *resolver = G_RESOLVER_CLASS (class);
  resolver->lookup_by_name_async = look_up;
  resolver->lookup_by_name_finish = look_up_finish;
}

static void
names_init (Names *self)
{
}

/* --- who asks it ------------------------------------------------------------------------------ */

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
}

static bool
has_joined (gpointer tracker)
{
  NetTrackerStatus status;
  net_tracker_status (tracker, &status);
  return status.joined;
}

static bool
has_left (gpointer wire)
{
  NetSipServerStats stats;
  net_sip_server_stats (((SipWire *)wire)->server, &stats);
  return stats.dialogs == 0;
}

/* Meanwhile somebody listens at the first, too, and answers nothing. */
static void
test_answered_is_asked_first (void)
{
  SipWire wire;
  g_autoptr (GError) error = NULL;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *uri = g_strdup_printf ("sip:tracker.test:%u;transport=tcp", wire.port);
  const char *const uris[] = {uri, NULL};
  NetTrackerOptions options = {.uris = uris, .swarm_id = SIP_SWARM, .port = 7574};
  NetTracker *tracker = net_tracker_new (&options, on_peers, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (wait_until (has_joined, tracker));
  g_autoptr (GSocket) silent =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_autoptr (GSocketAddress) first = g_inet_socket_address_new_from_string ("127.0.0.2", wire.port);
  g_assert_true (g_socket_bind (silent, first, TRUE, NULL));
  g_assert_true (g_socket_listen (silent, NULL));
  net_tracker_free (tracker);
  g_assert_true (wait_until (has_left, &wire));
  net_tracker_flush (60000);
  sip_wire_clear (&wire);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_autoptr (GResolver) names = g_object_new (names_get_type (), NULL);
  g_resolver_set_default (names);
  g_test_add_func ("/net/sip-name/who-has-answered-is-asked-first", test_answered_is_asked_first);
  return g_test_run ();
}
