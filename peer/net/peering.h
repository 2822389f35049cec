/* SPDX-License-Identifier: Apache-2.0 */
/* What each program that speaks the peer protocol can be told of it, with the same words in all of
 * them: limits, when a peer is dead (RFC 7574, 11.1.6 and 11.2.1), what we tell of ourselves
 * (peer/STATUS.md). */
#pragma once

#include "peer/engine.h"
#include "peer/net/log.h"

/* The texts, as said; NULL = not said. Rates are bits per second, "20M", "512k"; 0 = no limit. */
typedef struct {
  char *upload;         /* all datagrams together */
  char *swarm_upload;   /* each swarm, unless limits say else */
  char *swarm_download; /* likewise */
  char **limits;        /* ID=UPLOAD or ID=UPLOAD,DOWNLOAD */
  char *dead_peer;      /* seconds */
  char *access_link;    /* as peer_access_link_parse() has it */
  char *power;          /* as peer_power_parse() has it, or "auto" */
  char *log;            /* as net_log_to() has it */
} NetPeeringSaid;

void net_peering_said_clear (NetPeeringSaid *self);

#define NET_PEERING_ACCESS_LINK_HELP                                                               \
  "What peers are told of our line: wired, wireless, cellular (unknown)"
#define NET_PEERING_POWER_HELP                                                                     \
  "What peers are told of our power: mains, battery, low, unknown, or auto: look (auto)"
/* Rows for a table of GOptionEntry. */
#define NET_PEERING_ENTRIES(said)                                                                    \
  {"upload",                                                                                         \
   0,                                                                                                \
   0,                                                                                                \
   G_OPTION_ARG_STRING,                                                                              \
   &(said)->upload,                                                                                  \
   "Limit of all that is sent, bit/s: 20M, 512k (none)",                                             \
   "RATE"},                                                                                          \
      {"swarm-upload",                                                                               \
       0,                                                                                            \
       0,                                                                                            \
       G_OPTION_ARG_STRING,                                                                          \
       &(said)->swarm_upload,                                                                        \
       "Limit of what each swarm sends, bit/s (none)",                                               \
       "RATE"},                                                                                      \
      {"swarm-download",                                                                             \
       0,                                                                                            \
       0,                                                                                            \
       G_OPTION_ARG_STRING,                                                                          \
       &(said)->swarm_download,                                                                      \
       "Limit of what each swarm fetches, bit/s (none)",                                             \
       "RATE"},                                                                                      \
      {"access-link", 0, 0, G_OPTION_ARG_STRING, &(said)->access_link, NET_PEERING_ACCESS_LINK_HELP, \
       "LINK"},                                                                                      \
      {"power", 0, 0, G_OPTION_ARG_STRING, &(said)->power, NET_PEERING_POWER_HELP, "POWER"},         \
      {"log", 0, 0, G_OPTION_ARG_STRING, &(said)->log, NET_LOG_HELP, "WHERE"},                       \
  {                                                                                                  \
    "dead-peer", 0, 0, G_OPTION_ARG_STRING, &(said)->dead_peer,                                      \
        "A peer that is silent so long, and left three datagrams unanswered, is dead (180)",         \
        "SECONDS"                                                                                    \
  }
/* For programs whose swarms have names. */
#define NET_PEERING_LIMIT_ENTRY(said)                                                              \
  {                                                                                                \
    "limit", 0, 0, G_OPTION_ARG_STRING_ARRAY, &(said)->limits,                                     \
        "Limits of one swarm, bit/s; repeatable", "ID=UPLOAD[,DOWNLOAD]"                           \
  }

typedef struct NetPeering NetPeering;

/* The error is one line: which option, and what is expected. */
NetPeering *net_peering_new (const NetPeeringSaid *said, GError **error);
void net_peering_free (NetPeering *self);
/* The log goes where it was said, if it was, from now on. */
void net_peering_log (const NetPeering *self);

/* In these two, self: NULL = nothing was said.
 * Into the options of an engine that is to be made. */
void net_peering_options (const NetPeering *self, PeerEngineOptions *out);
/* Each time a swarm was joined, and when limits have changed. id: NULL = it has no name. */
void net_peering_limit_swarm (const NetPeering *self, PeerEngine *engine, PeerSwarm *swarm,
                              const char *id);
/* At run time: the limit of the engine. */
void net_peering_limit_engine (const NetPeering *self, PeerEngine *engine);
/* Changes the limits of one swarm while the program runs; a NULL leaves what there was. */
bool net_peering_set (NetPeering *self, const char *id, const char *upload, const char *download,
                      GError **error);
/* What the options say of it counts again. */
void net_peering_unset (NetPeering *self, const char *id);
/* The options were read anew: what had been set of a swarm counts on, unless the options say something
 * else of it than they did. The last word counts. */
void net_peering_keep_set (NetPeering *self, const NetPeering *before);

typedef struct {
  uint8_t access_link, power; /* as in PeerStatus */
  bool power_auto;            /* ask the system instead */
} NetPeeringStatus;
/* self: NULL = nothing was said. */
void net_peering_status (const NetPeering *self, NetPeeringStatus *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetPeering, net_peering_free)
