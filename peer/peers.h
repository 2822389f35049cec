/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a swarm knows, and whom it talks with: addresses, handshakes, bans, the end of channels
 * (RFC 7574, 3.1.1, 3.12, 12.1). Internal to the engine. */
#pragma once

#include "peer/swarm-state.h"

void peer_swarm_add_peer (PeerSwarm *self, const PeerAddress *address);
/* One that another peer has named, with its certificate or NULL; it is believed less. The
 * certificate's end: us, Unix time. */
void peer_swarm_add_hearsay (PeerSwarm *self, const PeerAddress *address, GBytes *certificate,
                             int64_t certificate_end);
/* The tracker named it, with this certificate. */
void peer_swarm_certify_peer (PeerSwarm *self, const PeerAddress *address, GBytes *certificate,
                              int64_t certificate_end);
void peer_swarm_forget_candidates (PeerSwarm *self);
/* Are there addresses that could be tried now? */
bool peer_swarm_has_untried (const PeerSwarm *self);
/* A first datagram whose options are read. NULL = no answer (3.1.1, step 2). */
PeerChannel *peer_swarm_accept (PeerSwarm *self, const PeerAddress *from, uint32_t remote,
                                const PeerOptions *options, size_t datagram_size);
/* The second datagram's HANDSHAKE; if a check fails, the channel is closed. */
void peer_swarm_accepted (PeerSwarm *self, PeerChannel *channel, uint32_t remote,
                          const PeerOptions *options);
/* A live source with so many peers that it cannot feed those who come: they are told what falls to
 * them, and have the rest of the others. */
bool peer_swarm_is_crowded (const PeerSwarm *self);
void peer_swarm_opened (PeerSwarm *self, PeerChannel *channel);
/* One who was asked for these will not bring them: they are free to be asked for again, but for what
 * another was asked for too, which is taken out of them. */
void peer_swarm_give_up (PeerSwarm *self, PeerChunks *chunks);
/* This channel will bring nothing of what it was asked for. */
void peer_swarm_forget_asks (PeerSwarm *self, PeerChannel *channel);
void peer_swarm_close (PeerSwarm *self, PeerChannel *channel, bool say_goodbye);
void peer_swarm_ban (PeerSwarm *self, PeerChannel *channel);
/* Section 3: we stop talking to who says what is invalid, and never begin if it was said with the
 * first datagram. */
void peer_swarm_on_malformed (PeerSwarm *self, PeerChannel *channel);
/* A type that is not assigned yet is no nonsense, it is an extension said to somebody who did not
 * list it (7.10): who does so now and then is kept, who goes on is left, and not banned. */
void peer_swarm_on_unknown (PeerSwarm *self, PeerChannel *channel);
/* It said goodbye, does not fit, or never answered: it is not tried again at once. */
void peer_swarm_failed (PeerSwarm *self, PeerChannel *channel);
void peer_swarm_connect (PeerSwarm *self);
void peer_swarm_reap (PeerSwarm *self);
bool peer_swarm_is_silent (const PeerSwarm *self, const PeerChannel *channel);
/* The options of our HANDSHAKE (section 7). */
void peer_swarm_options (const PeerSwarm *self, const PeerAddress *to, bool initiator,
                         PeerOptions *out);
