/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator has said: on the command line, or in a key file. */
#pragma once

#include "peer/net/credentials.h"
#include "peer/net/peering.h"
#include <stdbool.h>
#include <stdint.h>

#define PROXY_ERROR (proxy_error_quark ())
GQuark proxy_error_quark (void);
typedef enum {
  PROXY_ERROR_BAD_OPTION,
} ProxyError;

typedef struct {
  char **listen; /* ADDR:PORT; NULL = listen_port on loopback and the home's addresses */
  uint16_t listen_port;
  uint16_t dlna_port;
  char *peer;         /* ADDR:PORT */
  char **channels;    /* URIs, never NULL */
  char **interfaces;  /* NULL = by the rule */
  char *state;        /* a folder */
  char *name;         /* what the TV shows */
  bool hdhomerun;     /* found as a network tuner */
  char *renderers;    /* the owner's quirks (dlna/quirks.h); NULL = none */
  uint64_t cache;     /* bytes, of content on demand */
  uint64_t memory;    /* bytes, the most of a live channel */
  uint64_t timeshift; /* bytes on disk, of a live channel; 0 = none */
  unsigned linger;    /* s */
  unsigned warm;      /* channels */
  char **trackers;    /* URIs, never NULL */
  bool allow_plain_tracker;
  char *credentials_file; /* NULL = none */
  NetCredentials *credentials;
  char **allow_hosts;  /* names; NULL = none */
  unsigned max_per_ip; /* 0 = the engine's default */
  bool benign_network, no_peer_exchange;
  char *recordings;          /* a folder; NULL = nothing is recorded */
  uint64_t recordings_quota; /* bytes; 0 = as the disk has room */
  bool verbose;
  NetPeeringSaid said;
  NetPeering *peering;
} ProxyConfig;

typedef enum {
  PROXY_CONFIG_RUN,
  PROXY_CONFIG_EXIT,  /* --help or --version was answered */
  PROXY_CONFIG_WRONG, /* error says what, where and what to do */
} ProxyConfigResult;

/* out is filled in for RUN only; proxy_config_clear() it. argv as main's. */
ProxyConfigResult proxy_config_read (ProxyConfig *out, int argc, char **argv, GError **error);
void proxy_config_clear (ProxyConfig *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ProxyConfig, proxy_config_clear)
