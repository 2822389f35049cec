/* SPDX-License-Identifier: Apache-2.0 */
/* SoupServer speaks HTTP well and listens badly, so we listen and it speaks:
 *
 *   accept4() -> limits -> [TLS handshake] -> soup_server_accept_iostream()
 *                 |                             |
 *                 refused, closed               request-started, got-headers, got-chunk, finished
 *                                               move the connection between the states below
 *
 *   OPENING --headers--> BODY --body--> BUSY --response--> IDLE --first byte--> OPENING
 *      |                  |              |                  |
 *      header_timeout     idle_timeout   response_timeout   idle_timeout
 *
 * A response has no deadline, unless all of the server's are short: a TV watches for hours, and may
 * stop reading for one. For the same reason there is no TCP_USER_TIMEOUT: Linux also counts the time in
 * which the other end keeps its window shut, so it would cut a paused TV that is alive. Instead a look
 * at TCP_INFO now and then tells who has not answered a retransmission or a window probe.
 *
 * A few things that SoupServer's source tells, and its documentation does not:
 * - It forgets a connection that ends between two requests: see intake.c.
 * - It closes each connection after one response unless it believes that it listens. So it is
 *   given our socket as well, but with the main context that never runs: it never accepts.
 * - Its own "got-headers" handler, which calls the early handlers, is connected before anyone
 *   else's can be. An emission hook is run before all handlers, so a refused request reaches none.
 * - The address object that we give with a connection is the one that its messages show. */
#include "peer/net/listener.h"

#include "peer/net/admission.h"
#include "peer/net/intake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512
/* One dispatch takes at most so many, so that a flood of connections leaves time for the rest. Where
 * others wait at the same socket it takes one: who is busy takes none. */
#define ACCEPT_BATCH 64
/* How long we do not try again when even the spare descriptor does not help; ms. */
#define ACCEPT_PAUSE_MS 100
/* What is read and thrown away of a body that we refused, so that the other end sees our answer
 * before it sees a reset; bytes. */
#define MAX_DRAIN (1024 * 1024)

typedef enum { STATE_OPENING, STATE_BODY, STATE_BUSY, STATE_IDLE } ConnectionState;

typedef struct {
  unsigned refs;
  NetListener *listener; /* holds one reference */
  GList link;            /* in listener->connections */
  GSocket *socket;
  GIOStream *stream;       /* weak; what SoupServer is given */
  GTlsConnection *tls;     /* weak, as long as stream; or NULL */
  GCancellable *handshake; /* TLS, until it is done */
  GSocketAddress *local, *remote;
  struct in6_addr ip; /* of remote */
  ConnectionState state;
  int64_t deadline; /* us; INT64_MAX = none */
  bool any_body;    /* this request: net_listener_allow_body() */
  bool body_refused;
  size_t body, chunks; /* of this request, so far */
} Connection;

typedef struct {
  NetListener *listener;
  char *address;
  GSocket *socket;
  GSource *source;
  bool shared; /* other listeners accept from it too */
} Entrance;

struct NetListener {
  unsigned refs;
  SoupServer *server; /* NULL after net_listener_free() */
  NetListenerOptions options;
  char **host_names;
  GRecMutex lock; /* of the next two, which another thread may set */
  GTlsCertificate *certificate;
  bool ask_certificates;
  bool is_tls;
  GPtrArray *body_prefixes; /* char * */
  GPtrArray *entrances;     /* Entrance */
  GQueue connections;       /* Connection */
  NetAdmission *admission;
  GMainContext *context;
  GMainContext *never; /* the context of SoupServer's own sources, which is never run */
  GSource *tick;
  int64_t next_vanish_check;
  int spare; /* descriptor, given up to be able to refuse when there is no other */
};

static GQuark
connection_quark (void)
{
  return g_quark_from_static_string ("net-listener-connection");
}

static NetListener *
listener_ref (NetListener *self)
{
  self->refs++;
  return self;
}

static void
listener_unref (NetListener *self)
{
  if (--self->refs > 0)
    return;
  if (self->tick != NULL) {
    g_source_destroy (self->tick);
    g_source_unref (self->tick);
  }
  if (self->spare >= 0)
    close (self->spare);
  g_ptr_array_unref (self->body_prefixes);
  g_ptr_array_unref (self->entrances);
  net_admission_unref (self->admission);
  g_main_context_unref (self->context);
  g_main_context_unref (self->never);
  g_clear_object (&self->certificate);
  g_rec_mutex_clear (&self->lock);
  g_strfreev (self->host_names);
  g_free (self);
}

static void
connection_unref (Connection *self)
{
  if (--self->refs > 0)
    return;
  g_clear_object (&self->socket);
  g_clear_object (&self->handshake);
  g_clear_object (&self->local);
  g_clear_object (&self->remote);
  listener_unref (self->listener);
  g_free (self);
}

static void
connection_unref_closure (gpointer self, GClosure *closure)
{
  connection_unref (self);
}

static void
count (NetListener *self, NetAdmissionFate fate)
{
  net_admission_count (self->admission, fate);
}

/* The stream is gone, and SoupServer with it. */
static void
connection_gone (gpointer data, GObject *stream)
{
  Connection *self = data;
  NetListener *listener = self->listener;
  self->stream = NULL;
  g_clear_object (&self->remote); /* which holds a reference to us */
  g_queue_unlink (&listener->connections, &self->link);
  net_admission_leave (listener->admission, &self->ip);
  connection_unref (self);
}

/* Whoever reads or writes this connection finds its end, and SoupServer lets it go. What the
 * kernel has taken for sending is still sent. */
static void
connection_shut (Connection *self)
{
  if (self->handshake != NULL)
    g_cancellable_cancel (self->handshake);
  if (!g_socket_is_closed (self->socket))
    shutdown (g_socket_get_fd (self->socket), SHUT_RDWR);
}

static void
connection_enter (Connection *self, ConnectionState state)
{
  const NetListenerOptions *options = &self->listener->options;
  int64_t now = g_get_monotonic_time ();
  self->state = state;
  switch (state) {
  case STATE_OPENING:
    self->deadline = now + (int64_t)options->header_timeout * G_USEC_PER_SEC;
    break;
  case STATE_BODY:
  case STATE_IDLE:
    self->deadline = now + (int64_t)options->idle_timeout * G_USEC_PER_SEC;
    break;
  case STATE_BUSY:
    self->deadline = options->response_timeout == 0
                         ? INT64_MAX
                         : now + (int64_t)options->response_timeout * G_USEC_PER_SEC;
    break;
  }
}

/* Is something on its way to the other end that it has not acknowledged, in spite of repetitions,
 * for too long? Who keeps its window shut but answers our probes is alive. */
static bool
connection_vanished (const Connection *self)
{
  struct tcp_info info = {0};
  socklen_t n = sizeof info;
  if (g_socket_is_closed (self->socket) ||
      getsockopt (g_socket_get_fd (self->socket), IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
    return false;
  return (info.tcpi_retransmits > 0 || info.tcpi_probes > 1) &&
         info.tcpi_last_ack_recv / 1000 >= self->listener->options.vanish_timeout;
}

static gboolean
on_tick (gpointer data)
{
  NetListener *self = data;
  int64_t now = g_get_monotonic_time ();
  bool look = now >= self->next_vanish_check;
  if (look)
    self->next_vanish_check = now + (int64_t)self->options.vanish_timeout * G_USEC_PER_SEC / 4;
  for (GList *l = self->connections.head; l != NULL;) {
    Connection *connection = l->data;
    l = l->next;
    bool vanished = look && connection->state == STATE_BUSY && connection_vanished (connection);
    if (now < connection->deadline && !vanished)
      continue;
    count (self, NET_ADMISSION_TIMED_OUT);
    connection->deadline = INT64_MAX;
    connection_shut (connection);
  }
  if (self->connections.head != NULL)
    return G_SOURCE_CONTINUE;
  g_source_unref (self->tick);
  self->tick = NULL;
  return G_SOURCE_REMOVE;
}

static void
need_tick (NetListener *self)
{
  if (self->tick != NULL)
    return;
  self->tick = g_timeout_source_new_seconds (1);
  g_source_set_callback (self->tick, on_tick, self, NULL);
  g_source_attach (self->tick, self->context);
}

/* --- requests ------------------------------------------------------------------------------ */

static Connection *
connection_of (SoupServerMessage *message)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  return remote != NULL ? g_object_get_qdata (G_OBJECT (remote), connection_quark ()) : NULL;
}

/* "name", "name:port", "[ip]:port" -> the name or IP without port and brackets; NULL = malformed. */
static char *
host_without_port (const char *host)
{
  const char *end;
  const char *port = NULL;
  if (host[0] == '[') {
    host++;
    end = strchr (host, ']');
    if (end == NULL || (end[1] != ':' && end[1] != 0))
      return NULL;
    port = end[1] == ':' ? end + 2 : NULL;
  } else {
    end = strchr (host, ':');
    if (end == NULL)
      end = host + strlen (host);
    else
      port = end + 1;
  }
  if (port != NULL && port[strspn (port, "0123456789")] != 0)
    return NULL;
  if (end > host && end[-1] == '.') /* the root's dot */
    end--;
  return g_strndup (host, (gsize)(end - host));
}

/* DNS rebinding: a page of a stranger, whose name now leads to us, is told by the name. Who sends
 * no name at all (HTTP/1.0) is no browser. */
static bool
host_is_ours (Connection *self, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *header = soup_message_headers_get_list (headers, "Host");
  if (header == NULL)
    return true;
  g_autofree char *host = host_without_port (header);
  if (host == NULL)
    return false;
  for (char **name = self->listener->host_names; name != NULL && *name != NULL; name++)
    if (g_ascii_strcasecmp (*name, host) == 0)
      return true;
  struct in6_addr local, ip = {0};
  if (!net_admission_ip (self->local, &local))
    return true;
  if (g_ascii_strcasecmp (host, "localhost") == 0)
    return net_admission_is_loopback (&local);
  if (inet_pton (AF_INET, host, ip.s6_addr + 12) == 1)
    ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
  else if (inet_pton (AF_INET6, host, &ip) != 1)
    return false;
  /* Another address of this machine is not where we were asked to answer: by it a page of the other
   * side (the Internet's, of a router) would be told from ours by nothing. */
  return IN6_ARE_ADDR_EQUAL (&ip, &local) ||
         (net_admission_is_loopback (&ip) && net_admission_is_loopback (&local));
}

static void
refuse (SoupServerMessage *message, guint status, const char *text)
{
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, text, strlen (text));
  soup_server_message_set_status (message, status, NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
}

static void
refuse_body (Connection *self, SoupServerMessage *message)
{
  self->body_refused = true;
  count (self->listener, NET_ADMISSION_TOO_LARGE);
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  soup_message_body_set_accumulate (body, FALSE);
  refuse (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "This request is too large.\n");
}

static bool
may_have_any_body (NetListener *self, SoupServerMessage *message)
{
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));
  for (unsigned i = 0; i < self->body_prefixes->len; i++)
    if (g_str_has_prefix (path, g_ptr_array_index (self->body_prefixes, i)))
      return true;
  return false;
}

/* Before every handler of "got-headers" of any SoupServerMessage in the process. */
static gboolean
on_got_headers (GSignalInvocationHint *hint, guint n, const GValue *values, gpointer data)
{
  SoupServerMessage *message = g_value_get_object (&values[0]);
  Connection *self = connection_of (message);
  if (self == NULL)
    return TRUE;
  connection_enter (self, STATE_BODY);
  /* libsoup has set a status where it could not read the header; then there is no URI either. */
  if (soup_server_message_get_status (message) != 0)
    return TRUE;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  if (self->listener->options.check_host && !host_is_ours (self, message)) {
    count (self->listener, NET_ADMISSION_WRONG_HOST);
    self->body_refused = true;
    soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
    refuse (message, SOUP_STATUS_MISDIRECTED_REQUEST,
            "This server does not go by the name that you called it.\n");
    return TRUE;
  }
  self->any_body = may_have_any_body (self->listener, message);
  if (self->any_body) {
    soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
    self->deadline = INT64_MAX;
    return TRUE;
  }
  if (soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH &&
      soup_message_headers_get_content_length (headers) > (goffset)self->listener->options.max_body)
    refuse_body (self, message);
  return TRUE;
}

static void
on_got_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  Connection *self = data;
  size_t max = self->listener->options.max_body;
  if (self->any_body)
    return;
  self->body += g_bytes_get_size (chunk);
  self->chunks++;
  /* Each chunk costs memory of its own, however few bytes it has. */
  if (!self->body_refused && (self->body > max || self->chunks > 1024 + max / 64))
    refuse_body (self, message);
  if (self->body_refused && self->body > max + MAX_DRAIN)
    connection_shut (self);
}

static void
on_got_body (SoupServerMessage *message, gpointer data)
{
  Connection *self = data;
  if (self->state == STATE_BODY)
    connection_enter (self, STATE_BUSY);
}

static void
on_request_started (SoupServer *server, SoupServerMessage *message, NetListener *listener)
{
  Connection *self = connection_of (message);
  if (self == NULL)
    return;
  self->any_body = self->body_refused = false;
  self->body = self->chunks = 0;
  if (self->state == STATE_IDLE)
    connection_enter (self, STATE_OPENING);
  /* soup_server_message_get_socket() knows none when the server was given a stream */
  g_object_set_data_full (G_OBJECT (message), "ppsp-socket", g_object_ref (self->socket),
                          g_object_unref);
  self->refs += 2;
  g_signal_connect_data (message, "got-chunk", G_CALLBACK (on_got_chunk), self,
                         connection_unref_closure, 0);
  g_signal_connect_data (message, "got-body", G_CALLBACK (on_got_body), self,
                         connection_unref_closure, 0);
}

/* With TLS, SoupServer ends a connection by a blocking write; with the buffer full, it would wait
 * for the other end, and all others with it. */
static void
never_block_on_close (Connection *self)
{
  if (self->stream == NULL || self->tls == NULL || g_socket_is_closed (self->socket))
    return;
  struct pollfd fd = {.fd = g_socket_get_fd (self->socket), .events = POLLOUT};
  if (poll (&fd, 1, 0) != 1 || (fd.revents & POLLOUT) == 0)
    connection_shut (self);
}

static void
on_request_finished (SoupServer *server, SoupServerMessage *message, NetListener *listener)
{
  Connection *self = connection_of (message);
  if (self == NULL)
    return;
  connection_enter (self, STATE_IDLE);
  if (self->stream != NULL)
    net_intake_rest (self->stream);
  if (listener->server == NULL) /* net_listener_free(): this was its last response */
    connection_shut (self);
  else
    never_block_on_close (self);
}

/* --- connections --------------------------------------------------------------------------- */

static void
give_to_server (Connection *self)
{
  if (self->listener->server != NULL)
    soup_server_accept_iostream (self->listener->server, self->stream, self->local, self->remote,
                                 NULL);
}

/* GIO has no word for the versions to offer, and takes those before TLS 1.2, which RFC 8996 forbids. */
static bool
is_fit (GTlsConnection *tls)
{
  return g_tls_connection_get_protocol_version (tls) >= G_TLS_PROTOCOL_VERSION_TLS_1_2;
}

static void
on_handshake (GObject *source, GAsyncResult *result, gpointer data)
{
  Connection *self = data;
  GIOStream *stream = self->stream;
  g_clear_object (&self->handshake);
  if (g_tls_connection_handshake_finish (G_TLS_CONNECTION (source), result, NULL)) {
    if (is_fit (G_TLS_CONNECTION (source)))
      give_to_server (self);
    else
      count (self->listener, NET_ADMISSION_REFUSED);
  }
  g_object_unref (stream); /* the reference that handshake() took; self may end with it */
}

static void
handshake (Connection *self)
{
  g_object_ref (self->stream);
  self->handshake = g_cancellable_new ();
  g_tls_connection_handshake_async (self->tls, G_PRIORITY_DEFAULT, self->handshake, on_handshake,
                                    self);
}

static gboolean
on_certificate (GTlsConnection *tls, GTlsCertificate *certificate, GTlsCertificateFlags errors,
                gpointer data)
{
  return TRUE;
}

static GIOStream *
tls_stream_new (NetListener *listener, GIOStream *stream)
{
  static const char *const protocols[] = {"http/1.1", NULL};
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&listener->lock);
  GIOStream *tls = g_tls_server_connection_new (stream, listener->certificate, NULL);
  if (tls == NULL)
    return NULL;
  g_tls_connection_set_advertised_protocols (G_TLS_CONNECTION (tls), protocols);
  if (listener->ask_certificates) {
    g_object_set (tls, "authentication-mode", G_TLS_AUTHENTICATION_REQUESTED, NULL);
    g_signal_connect (tls, "accept-certificate", G_CALLBACK (on_certificate), NULL);
  }
  return tls;
}

static void
set_socket_options (GSocket *socket)
{
  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
  /* Who vanishes while it owes us nothing is found by these, after 60 s. */
  g_socket_set_keepalive (socket, TRUE);
  g_socket_set_option (socket, IPPROTO_TCP, TCP_KEEPIDLE, 30, NULL);
  g_socket_set_option (socket, IPPROTO_TCP, TCP_KEEPINTVL, 10, NULL);
  g_socket_set_option (socket, IPPROTO_TCP, TCP_KEEPCNT, 3, NULL);
}

/* false = it has ended already. */
static bool
connection_new (NetListener *listener, GSocket *socket, GSocketAddress *remote,
                const struct in6_addr *ip)
{
  g_autoptr (GSocketAddress) local = g_socket_get_local_address (socket, NULL);
  if (local == NULL)
    return false;
  set_socket_options (socket);
  g_autoptr (GIOStream) base = G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
  if (listener->is_tls) {
    g_autoptr (GIOStream) plain = g_steal_pointer (&base);
    base = tls_stream_new (listener, plain);
    if (base == NULL) {
      count (listener, NET_ADMISSION_REFUSED);
      return false;
    }
  }
  g_autoptr (GIOStream) stream = net_intake_new (base);
  Connection *self = g_new0 (Connection, 1);
  self->refs = 1;
  self->listener = listener_ref (listener);
  self->link.data = self;
  self->socket = g_object_ref (socket);
  self->stream = stream;
  self->tls = G_IS_TLS_CONNECTION (base) ? G_TLS_CONNECTION (base) : NULL;
  self->local = g_steal_pointer (&local);
  self->remote = g_object_ref (remote);
  self->ip = *ip;
  count (listener, NET_ADMISSION_ACCEPTED);
  g_queue_push_tail_link (&listener->connections, &self->link);
  connection_enter (self, STATE_OPENING);
  need_tick (listener);
  self->refs++; /* one lives as long as the address, one as the stream */
  g_object_set_qdata_full (G_OBJECT (remote), connection_quark (), self,
                           (GDestroyNotify)connection_unref);
  g_object_weak_ref (G_OBJECT (stream), connection_gone, self);
  if (self->tls != NULL)
    handshake (self);
  else
    give_to_server (self);
  return true;
}

/* Who only waits for a next request makes room for who has one. */
static bool
evict_idle (NetListener *self)
{
  Connection *oldest = NULL;
  for (GList *l = self->connections.head; l != NULL; l = l->next) {
    Connection *connection = l->data;
    if (connection->state == STATE_IDLE && connection->deadline != INT64_MAX &&
        (oldest == NULL || connection->deadline < oldest->deadline))
      oldest = connection;
  }
  if (oldest == NULL)
    return false;
  oldest->deadline = INT64_MAX;
  connection_shut (oldest);
  return true;
}

static bool
enter (NetListener *self, const struct in6_addr *ip)
{
  NetAdmissionResult result = net_admission_enter (self->admission, ip, false);
  if (result == NET_ADMISSION_FULL && evict_idle (self))
    result = net_admission_enter (self->admission, ip, true);
  return result == NET_ADMISSION_ENTERED;
}

static void
admit (NetListener *self, int fd)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, NULL);
  if (socket == NULL) {
    close (fd);
    return;
  }
  g_autoptr (GSocketAddress) remote = g_socket_get_remote_address (socket, NULL);
  struct in6_addr ip;
  if (remote == NULL || !net_admission_ip (remote, &ip))
    return; /* it is gone already */
  bool welcome = self->options.admit == NULL ||
                 self->options.admit (G_INET_SOCKET_ADDRESS (remote), self->options.data);
  if (!welcome || !enter (self, &ip))
    count (self, NET_ADMISSION_REFUSED);
  else if (!connection_new (self, socket, remote, &ip))
    net_admission_leave (self->admission, &ip);
}

/* There is no descriptor left. Those who wait would wait in the kernel until somebody closes one;
 * they had better know. */
static bool
refuse_with_spare (NetListener *self, int listening)
{
  count (self, NET_ADMISSION_ACCEPT_FAILED);
  evict_idle (self);
  if (self->spare < 0)
    self->spare = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (self->spare < 0)
    return false;
  close (self->spare);
  int fd = accept4 (listening, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0) {
    close (fd);
    count (self, NET_ADMISSION_REFUSED);
  }
  self->spare = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  return fd >= 0;
}

static void entrance_watch (Entrance *self);

static gboolean
on_pause_over (gpointer data)
{
  Entrance *self = data;
  g_source_unref (self->source);
  entrance_watch (self);
  return G_SOURCE_REMOVE;
}

/* accept() fails and will fail again at once: without a pause this would be a busy loop. */
static void
entrance_pause (Entrance *self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
  self->source = g_timeout_source_new (ACCEPT_PAUSE_MS);
  g_source_set_callback (self->source, on_pause_over, self, NULL);
  g_source_attach (self->source, self->listener->context);
}

static gboolean
on_incoming (GSocket *socket, GIOCondition condition, gpointer data)
{
  Entrance *self = data;
  if (g_socket_is_closed (socket)) /* by soup_server_disconnect() */
    return G_SOURCE_REMOVE;
  int listening = g_socket_get_fd (socket);
  unsigned batch = self->shared ? 1 : ACCEPT_BATCH;
  for (unsigned i = 0; i < batch; i++) {
    int fd = accept4 (listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      admit (self->listener, fd);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return G_SOURCE_CONTINUE;
    if (errno == EINTR || errno == ECONNABORTED)
      continue;
    bool descriptors = errno == EMFILE || errno == ENFILE;
    if (descriptors && refuse_with_spare (self->listener, listening))
      continue;
    if (!descriptors)
      count (self->listener, NET_ADMISSION_ACCEPT_FAILED);
    entrance_pause (self);
    return G_SOURCE_REMOVE;
  }
  return G_SOURCE_CONTINUE;
}

/* --- addresses ----------------------------------------------------------------------------- */

static void
entrance_watch (Entrance *self)
{
  self->source = g_socket_create_source (self->socket, G_IO_IN, NULL);
  g_source_set_callback (self->source, G_SOURCE_FUNC (on_incoming), self, NULL);
  g_source_attach (self->source, self->listener->context);
}

static void
entrance_free (gpointer data)
{
  Entrance *self = data;
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_socket_close (self->socket, NULL);
  g_object_unref (self->socket);
  g_free (self->address);
  g_free (self);
}

static GSocketAddress *
address_parse (const char *text, GError **error)
{
  const char *colon = strrchr (text, ':');
  guint64 port = 0;
  g_autofree char *ip = NULL;
  GSocketAddress *address = NULL;
  if (colon != NULL && g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL)) {
    if (text[0] == '[' && colon > text && colon[-1] == ']')
      ip = g_strndup (text + 1, (gsize)(colon - text - 2));
    else if (memchr (text, ':', (size_t)(colon - text)) == NULL)
      ip = g_strndup (text, (gsize)(colon - text));
    if (ip != NULL && *ip != 0)
      address = g_inet_socket_address_new_from_string (ip, (guint)port);
  }
  if (address == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "cannot listen on '%s': expected ADDRESS:PORT, as 127.0.0.1:8080 or [::]:8080",
                 text);
  return address;
}

static bool
is_any_v6 (GSocketAddress *address)
{
  GInetAddress *ip = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));
  return g_inet_address_get_is_any (ip) && g_inet_address_get_family (ip) == G_SOCKET_FAMILY_IPV6;
}

static GSocket *
listening_socket_new (GSocketAddress *address, GError **error)
{
  GSocketFamily family = g_socket_address_get_family (address);
  g_autoptr (GSocket) socket =
      g_socket_new (family, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);
  if (socket == NULL)
    return NULL;
  if (family == G_SOCKET_FAMILY_IPV6 &&
      !g_socket_set_option (socket, IPPROTO_IPV6, IPV6_V6ONLY, !is_any_v6 (address), error))
    return NULL;
  g_socket_set_blocking (socket, FALSE);
  g_socket_set_listen_backlog (socket, BACKLOG);
  if (!g_socket_bind (socket, address, TRUE, error) || !g_socket_listen (socket, error))
    return NULL;
  return g_steal_pointer (&socket);
}

const char *
net_listener_advice (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE))
    return "another program has this port; stop it, or choose another";
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    return "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one";
  return "is it an address of this machine?";
}

static GSocket *
listening_socket_at (const char *text, GSocketAddress *address, GError **error)
{
  g_autoptr (GError) failure = NULL;
  GSocket *socket = listening_socket_new (address, &failure);
  if (socket == NULL && is_any_v6 (address) &&
      !g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE)) {
    /* A kernel without IPv6: "[::]" means both families, and one is there. */
    guint16 port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
    g_autoptr (GSocketAddress) v4 = g_inet_socket_address_new_from_string ("0.0.0.0", port);
    socket = listening_socket_new (v4, NULL);
  }
  if (socket == NULL)
    g_set_error (error, failure->domain, failure->code, "cannot listen on %s: %s (%s)", text,
                 failure->message, net_listener_advice (failure));
  return socket;
}

/* See the top of this file. soup_server_get_uris() makes it remember the address: after
 * net_listener_remove() the socket has none any more. */
static bool
show_to_server (NetListener *self, GSocket *socket, GError **error)
{
  g_main_context_push_thread_default (self->never);
  bool good = soup_server_listen_socket (self->server, socket, 0, error);
  g_main_context_pop_thread_default (self->never);
  if (good)
    g_slist_free_full (soup_server_get_uris (self->server), (GDestroyNotify)g_uri_unref);
  return good;
}

static Entrance *
entrance_add (NetListener *self, const char *address, GSocket *socket, GError **error)
{
  if (!show_to_server (self, socket, error))
    return NULL;
  Entrance *entrance = g_new0 (Entrance, 1);
  entrance->listener = self;
  entrance->address = g_strdup (address);
  entrance->socket = g_object_ref (socket);
  entrance_watch (entrance);
  g_ptr_array_add (self->entrances, entrance);
  return entrance;
}

uint16_t
net_listener_add (NetListener *self, const char *address, GError **error)
{
  g_return_val_if_fail (self->server != NULL, 0);
  g_autoptr (GSocketAddress) wanted = address_parse (address, error);
  if (wanted == NULL)
    return 0;
  g_autoptr (GSocket) socket = listening_socket_at (address, wanted, error);
  if (socket == NULL)
    return 0;
  g_autoptr (GSocketAddress) bound = g_socket_get_local_address (socket, error);
  if (bound == NULL || entrance_add (self, address, socket, error) == NULL)
    return 0;
  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
}

bool
net_listener_share (NetListener *self, NetListener *other, GError **error)
{
  for (unsigned i = 0; i < other->entrances->len; i++) {
    Entrance *theirs = g_ptr_array_index (other->entrances, i);
    int fd = fcntl (g_socket_get_fd (theirs->socket), F_DUPFD_CLOEXEC, 0);
    g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, error);
    if (socket == NULL && fd >= 0)
      close (fd);
    Entrance *ours = socket != NULL ? entrance_add (self, theirs->address, socket, error) : NULL;
    if (ours == NULL)
      return false;
    ours->shared = theirs->shared = true;
  }
  net_admission_unref (self->admission);
  self->admission = net_admission_ref (other->admission);
  return true;
}

void
net_listener_remove (NetListener *self, const char *address)
{
  for (unsigned i = 0; i < self->entrances->len; i++) {
    Entrance *entrance = g_ptr_array_index (self->entrances, i);
    if (strcmp (entrance->address, address) == 0) {
      g_ptr_array_remove_index (self->entrances, i);
      return;
    }
  }
}

/* --- the listener -------------------------------------------------------------------------- */

static void
hook_got_headers (void)
{
  static gsize done;
  if (!g_once_init_enter (&done))
    return;
  /* The class is never unloaded: its signals must be there before the first message is. */
  g_type_class_ref (SOUP_TYPE_SERVER_MESSAGE);
  guint signal = g_signal_lookup ("got-headers", SOUP_TYPE_SERVER_MESSAGE);
  g_signal_add_emission_hook (signal, 0, on_got_headers, NULL, NULL);
  g_once_init_leave (&done, 1);
}

static unsigned
or_default (unsigned value, unsigned otherwise)
{
  return value != 0 ? value : otherwise;
}

static void
listener_unref_closure (gpointer self, GClosure *closure)
{
  listener_unref (self);
}

/* As long as the server lives: connections in service outlive net_listener_free(). */
static void
connect_signal (NetListener *self, const char *signal, GCallback handler)
{
  g_signal_connect_data (self->server, signal, handler, listener_ref (self), listener_unref_closure,
                         0);
}

NetListener *
net_listener_new (SoupServer *server, const NetListenerOptions *options)
{
  hook_got_headers ();
  NetListener *self = g_new0 (NetListener, 1);
  self->refs = 1;
  self->server = g_object_ref (server);
  self->options = *options;
  self->admission = net_admission_new (or_default (options->max_connections, 256),
                                       or_default (options->max_per_ip, 32));
  self->options.header_timeout = or_default (options->header_timeout, 10);
  self->options.idle_timeout = or_default (options->idle_timeout, 30);
  self->options.vanish_timeout = or_default (options->vanish_timeout, 60);
  if (self->options.max_body == 0)
    self->options.max_body = 65536;
  self->host_names = g_strdupv ((char **)options->host_names);
  self->options.host_names = NULL;
  self->options.certificate = NULL;
  self->is_tls = options->certificate != NULL;
  if (self->is_tls)
    self->certificate = g_object_ref (options->certificate);
  g_rec_mutex_init (&self->lock);
  self->body_prefixes = g_ptr_array_new_with_free_func (g_free);
  self->entrances = g_ptr_array_new_with_free_func (entrance_free);
  self->context = g_main_context_ref_thread_default ();
  self->never = g_main_context_new ();
  self->spare = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  connect_signal (self, "request-started", G_CALLBACK (on_request_started));
  connect_signal (self, "request-finished", G_CALLBACK (on_request_finished));
  connect_signal (self, "request-aborted", G_CALLBACK (on_request_finished));
  return self;
}

void
net_listener_free (NetListener *self)
{
  g_ptr_array_set_size (self->entrances, 0);
  for (GList *l = self->connections.head; l != NULL; l = l->next) {
    Connection *connection = l->data;
    if (connection->state != STATE_BUSY)
      connection_shut (connection);
    else
      never_block_on_close (connection);
  }
  g_clear_object (&self->server);
  listener_unref (self);
}

void
net_listener_set_certificate (NetListener *self, GTlsCertificate *certificate)
{
  g_return_if_fail (self->is_tls && certificate != NULL);
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  g_set_object (&self->certificate, certificate);
}

void
net_listener_ask_certificates (NetListener *self, bool ask)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  self->ask_certificates = ask;
}

GTlsCertificate *
net_listener_peer_certificate (SoupServerMessage *message)
{
  const Connection *self = connection_of (message);
  if (self == NULL || self->stream == NULL || self->tls == NULL)
    return NULL;
  return g_tls_connection_get_peer_certificate (self->tls);
}

void
net_listener_allow_body (NetListener *self, const char *prefix)
{
  g_ptr_array_add (self->body_prefixes, g_strdup (prefix));
}

void
net_listener_stats (const NetListener *self, NetListenerStats *out)
{
  NetAdmission *admission = self->admission;
  *out = (NetListenerStats){
      .accepted = net_admission_counted (admission, NET_ADMISSION_ACCEPTED),
      .refused = net_admission_counted (admission, NET_ADMISSION_REFUSED),
      .timed_out = net_admission_counted (admission, NET_ADMISSION_TIMED_OUT),
      .too_large = net_admission_counted (admission, NET_ADMISSION_TOO_LARGE),
      .wrong_host = net_admission_counted (admission, NET_ADMISSION_WRONG_HOST),
      .accept_failures = net_admission_counted (admission, NET_ADMISSION_ACCEPT_FAILED),
      .connections = net_admission_connections (admission)};
}
