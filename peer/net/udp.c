/* SPDX-License-Identifier: Apache-2.0 */
/* One source on the main loop, ready when the socket is, or when the engine's deadline has come.
 * A turn of it: take in what has come, let the engine answer, hand on its events, let it answer
 * to what they caused, sleep until its deadline.
 *
 * A stream's datagrams come one by one, so what a turn costs counts. GLib takes the socket out of
 * its poll while a source is dispatched, and back in, unless the source may recurse, and tells
 * itself of either through a descriptor, as of each new ready time: three calls to the kernel and
 * another round of the loop. So this source may recurse (and does not), and says in prepare() how
 * long it can wait.
 *
 * Answers are collected after a whole batch was taken in, and so an acknowledgement covers the
 * batch. Both ways are capped, so that HTTP, which shares the loop, gets its turn under any load. */
#include "peer/net/udp.h"

#include "peer/net/random.h"
#include "peer/net/socket.h"
#include <gio/gio.h>
#include <sys/timex.h>

#define TURN_RECEIVE 256 /* datagrams: about a millisecond of work */
#define TURN_SEND 1024   /* datagrams */

typedef struct {
  GSource source;
  NetUdp *udp;
} UdpSource;

#define CLOCK_INTERVAL 10000000 /* us */
#define CLOCK_LEAP 1000000      /* us: a clock that is only slewed takes longer for that */

struct NetUdp {
  NetSocket *socket;
  PeerEngine *engine;
  NetUdpEventFunc func;
  gpointer data;
  GSource *source;
  gpointer tag; /* of the socket in the source */
  GIOCondition waits_for;
  int64_t now;      /* of this turn */
  int64_t ready_at; /* us: the next turn, if nothing comes before; PEER_NEVER */
  bool in_turn;
  int64_t clock_at; /* us: when the kernel is asked next whether the wall clock is right */
  int64_t wall;     /* us: the wall clock's offset, as the engine knows it */
};

/* Unix time minus the engine's clock. */
static int64_t
wall_offset (void)
{
  return g_get_real_time () - g_get_monotonic_time ();
}

/* A router without a battery starts with a wrong clock, and the age of what a source has signed must
 * not be judged by it (RFC 7574, 6.1.2.4) until something has set it: then the kernel says so. */
static bool
wall_is_trusted (void)
{
  struct timex state = {.modes = 0};
  return adjtimex (&state) >= 0 && (state.status & STA_UNSYNC) == 0;
}

/* While the machine sleeps, our clock stands and the wall's goes on. Before that is seen, a viewer takes
 * what was signed since for the future's, and others take what a source signs for old. */
static void
look_at_clock (NetUdp *self)
{
  int64_t wall = wall_offset ();
  if (self->now < self->clock_at && ABS (wall - self->wall) < CLOCK_LEAP)
    return;
  self->clock_at = self->now + CLOCK_INTERVAL;
  self->wall = wall;
  peer_engine_set_wall (self->engine, wall, wall_is_trusted ());
}

static void
receive_one (gpointer data, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  NetUdp *self = data;
  peer_engine_receive (self->engine, self->now, from, bytes, n);
}

static void
too_big (gpointer data, const PeerAddress *to, size_t n)
{
  NetUdp *self = data;
  peer_engine_too_big (self->engine, self->now, to, n);
}

typedef enum {
  SEND_DONE,    /* the engine has no more to say */
  SEND_CAPPED,  /* enough for this turn */
  SEND_BLOCKED, /* the kernel takes no more */
} SendResult;

static SendResult
send_all (NetUdp *self)
{
  for (unsigned n = 0; n < TURN_SEND;) {
    uint8_t *room = net_socket_room (self->socket);
    if (room == NULL) {
      if (!net_socket_flush (self->socket))
        return SEND_BLOCKED;
      continue;
    }
    PeerAddress to;
    size_t size = peer_engine_send (self->engine, self->now, &to, room, PEER_DATAGRAM_MAX);
    if (size == 0)
      return net_socket_flush (self->socket) ? SEND_DONE : SEND_BLOCKED;
    net_socket_add (self->socket, &to, size);
    n++;
  }
  return net_socket_flush (self->socket) ? SEND_CAPPED : SEND_BLOCKED;
}

static bool
hand_on_events (NetUdp *self)
{
  PeerEvent event;
  bool any = false;
  while (peer_engine_next_event (self->engine, &event)) {
    any = true;
    if (self->func != NULL)
      self->func (&event, self->data);
  }
  return any;
}

static void
sleep_until (NetUdp *self, SendResult result)
{
  GIOCondition waits_for = G_IO_IN;
  if (result == SEND_BLOCKED) {
    waits_for |= G_IO_OUT; /* and no deadline: the engine could not send */
    self->ready_at = PEER_NEVER;
  } else {
    self->ready_at = result == SEND_CAPPED ? 0 : peer_engine_deadline (self->engine);
  }
  if (waits_for != self->waits_for) {
    g_source_modify_unix_fd (self->source, self->tag, waits_for);
    self->waits_for = waits_for;
  }
}

static gboolean
turn (GSource *source, GSourceFunc callback, gpointer data)
{
  NetUdp *self = ((UdpSource *)source)->udp;
  if (self->in_turn) /* a handler of events runs the loop: the rest can wait for it */
    return G_SOURCE_CONTINUE;
  self->in_turn = true;
  self->ready_at = PEER_NEVER;
  self->now = g_get_monotonic_time ();
  look_at_clock (self);
  if (g_source_query_unix_fd (source, self->tag) & (G_IO_IN | G_IO_ERR))
    net_socket_receive (self->socket, TURN_RECEIVE, receive_one, self);
  SendResult result = send_all (self);
  if (hand_on_events (self) && result == SEND_DONE) {
    self->now = g_get_monotonic_time ();
    result = send_all (self);
    /* events that this second sending caused wait for no datagram */
    if (hand_on_events (self) && result == SEND_DONE)
      result = SEND_CAPPED;
  }
  sleep_until (self, result);
  self->in_turn = false;
  return G_SOURCE_CONTINUE;
}

/* Is the deadline here? timeout: ms until then; -1 = none. */
static gboolean
prepare (GSource *source, int *timeout)
{
  const NetUdp *self = ((UdpSource *)source)->udp;
  int64_t left = self->ready_at - g_source_get_time (source);
  *timeout = -1;
  if (self->in_turn || self->ready_at == PEER_NEVER)
    return FALSE;
  *timeout = left <= 0 ? 0 : (int)MIN (left / 1000 + (left % 1000 > 0), INT_MAX);
  return left <= 0;
}

/* That the socket is ready GLib sees itself. */
static gboolean
check (GSource *source)
{
  int timeout;
  return prepare (source, &timeout);
}

static GSourceFuncs udp_source_funcs = {.prepare = prepare, .check = check, .dispatch = turn};

NetUdp *
net_udp_new (const char *address, const PeerEngineOptions *options, NetUdpEventFunc func,
             gpointer data, GError **error)
{
  NetSocket *socket = net_socket_new (address, error);
  if (socket == NULL)
    return NULL;
  NetUdp *self = g_new0 (NetUdp, 1);
  self->socket = socket;
  self->func = func;
  self->data = data;
  self->now = g_get_monotonic_time ();

  PeerEngineOptions filled = *options;
  filled.random = net_random;
  filled.random_data = NULL;
  filled.wall_offset = self->wall = wall_offset ();
  self->engine = peer_engine_new (&filled);
  net_socket_set_too_big (socket, too_big, self);

  self->source = g_source_new (&udp_source_funcs, sizeof (UdpSource));
  ((UdpSource *)self->source)->udp = self;
  g_source_set_static_name (self->source, "ppsp-udp");
  self->waits_for = G_IO_IN;
  self->tag = g_source_add_unix_fd (self->source, net_socket_fd (socket), self->waits_for);
  g_source_set_can_recurse (self->source, TRUE);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  g_source_attach (self->source, context);
  return self;
}

void
net_udp_free (NetUdp *self)
{
  if (self == NULL)
    return;
  g_source_destroy (self->source);
  g_source_unref (self->source);
  self->now = g_get_monotonic_time ();
  send_all (self);
  peer_engine_free (self->engine);
  net_socket_free (self->socket);
  g_free (self);
}

PeerEngine *
net_udp_engine (NetUdp *self)
{
  return self->engine;
}

uint16_t
net_udp_port (const NetUdp *self)
{
  return net_socket_port (self->socket);
}

int64_t
net_udp_now (const NetUdp *self)
{
  return g_get_monotonic_time ();
}

void
net_udp_wake (NetUdp *self)
{
  self->ready_at = 0;
}

void
net_udp_stats (const NetUdp *self, NetUdpStats *out)
{
  NetSocketStats stats;
  net_socket_stats (self->socket, &stats);
  *out = (NetUdpStats){.receive_calls = stats.receive_calls,
                       .send_calls = stats.send_calls,
                       .send_errors = stats.send_errors,
                       .gso = stats.gso,
                       .gro = stats.gro,
                       .receive_buffer = stats.receive_buffer};
}

void
net_udp_disable_gso (NetUdp *self)
{
  net_socket_disable_gso (self->socket);
}
