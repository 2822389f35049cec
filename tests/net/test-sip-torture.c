/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the kinds that RFC 4475 describes, written anew for a tracker: each has its right answer. */
#include "tests/net/sip-wire.h"

#define V "Via: SIP/2.0/UDP 127.0.0.1:@P;branch=@B;rport\n"
#define F "From: <sip:a@b>;tag=1\n"
#define T "To: <sip:a@b>\n"
#define END "Content-Length: 0\n\n"
#define O(headers, cseq) "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V headers "CSeq: " cseq "\n" END
#define R(id, contact)                                                                             \
  "REGISTER sip:127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: " id "\nCSeq: 1 REGISTER\n" contact END

static const struct {
  const char *section, *status; /* status NULL = no answer */
  const char *text;
} rows[] = {
    /* 3.1.1: valid */
    {"3.1.1.1", "200",
     "OPTIONS  sip:127.0.0.1:@T;unknownparam SIP/2.0\nTO :\n sip:a@b ;   tag    = 19\nfrom   : \"J "
     "\\\\\\\"\" "
     "<sip:a@b>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\nCall-ID: c1\ncseq: 0009\n  OPTIONS\n"
     "Via  : SIP  /   2.0\n /UDP\n    127.0.0.1:@P;rport;branch=@B\nl: 0\nNewFangledHeader:   x\n "
     "y\n\n"},
    {"3.1.1.3", "200", O ("From: <sip:%61%20b@b>;tag=1\n" T "Call-ID: c3\n", "1 OPTIONS")},
    {"3.1.1.4", "404",
     "REGISTER sip:127.0.0.1:@T SIP/2.0\n" V
     "From: <sip:n%00@b>;tag=1\nTo: <sip:n%00@b>\nCall-ID: c4\n"
     "CSeq: 1 REGISTER\nContact: <sip:n@b>\n" END},
    {"3.1.1.6", "200", O ("From: caller<sip:a@b>;tag=1\n" T "Call-ID: c6\n", "1 OPTIONS")},
    {"3.1.1.8", "200", O (F T "Call-ID: c8\n", "1 OPTIONS") "more octets than there should be"},
    {"3.1.1.9", "200", R ("c9", "Contact: <sip:user;par=u%40example.net@127.0.0.1>\n")},
    {"3.1.1.11", "415",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: c11\nCSeq: 1 OPTIONS\n"
     "Content-Type: multipart/mixed;boundary=x\nContent-Length: 5\n\n--x--"},
    /* 3.1.2: invalid */
    {"3.1.2.2", "400",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V F T
     "Call-ID: d2\nCSeq: 1 OPTIONS\nContent-Length: 9999\n\nx"},
    {"3.1.2.3", "400",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V F T
     "Call-ID: d3\nCSeq: 1 OPTIONS\nContent-Length: -9\n\n"},
    {"3.1.2.4", "400", O (F T "Call-ID: d4\n", "36893488147419103232 OPTIONS")},
    {"3.1.2.5", NULL,
     "SIP/2.0 200 OK\n" V F T "Call-ID: d5\nCSeq: 9292394834772304023312 OPTIONS\n" END},
    {"3.1.2.6", "400", O (F "To: \"Mr. J <sip:a@b>\nCall-ID: d6\n", "1 OPTIONS")},
    {"3.1.2.16", "505",
     "OPTIONS sip:127.0.0.1:@T SIP/7.0\n" V F T "Call-ID: d16\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.17", "400", O (F T "Call-ID: d17\n", "1 INVITE")},
    {"3.1.2.18", "400",
     "NEWMETHOD sip:127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: d18\nCSeq: 1 INVITE\n" END},
    {"3.1.2.19", NULL,
     "SIP/2.0 4294967301 better not\n" V F T "Call-ID: d19\nCSeq: 1 INVITE\n" END},
    /* 3.2: the transaction layer */
    {"3.2.1", "200",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:@P;rport;branch=z9hG4bK\n" F T
     "Call-ID: e1\nCSeq: 1 OPTIONS\n" END},
    /* 3.3: the application layer */
    {"3.3.1", "400", "INVITE sip:s@127.0.0.1:@T SIP/2.0\nCSeq: 1 INVITE\n" V END},
    {"3.3.2", "416", "OPTIONS nobodyKnows:x SIP/2.0\n" V F T "Call-ID: f2\nCSeq: 1 OPTIONS\n" END},
    {"3.3.3", "416",
     "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\n" V F T "Call-ID: f3\nCSeq: 1 OPTIONS\n" END},
    {"3.3.5", "420", O (F T "Call-ID: f5\nRequire: nothingSupportsThis\n", "1 OPTIONS")},
    {"3.3.6", "415",
     "INVITE sip:s@127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: f6\nCSeq: 1 INVITE\nContact: <sip:a@b>\n"
     "Content-Type: application/unknown\nContent-Length: 1\n\nx"},
    {"3.3.7", "200", R ("f7", "Authorization: NoOneKnowsThis p=1\nContact: <sip:a@127.0.0.1>\n")},
    {"3.3.8", "400", O (F F T T "Call-ID: f8\nCall-ID: f8b\n", "1 OPTIONS")},
    {"3.3.10", NULL,
     "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 255.255.255.255;branch=@B\n" F T
     "Call-ID: f10\nCSeq: 1 INVITE\n" END},
    {"3.3.11", "200", O (F T "Call-ID: f11\nMax-Forwards: 0\n", "1 OPTIONS")},
    {"3.3.12", "200", R ("f12", "Contact: sip:a@127.0.0.1;unknownparam\n")},
    {"3.3.14", "200", R ("f14", "Contact: <sip:a@127.0.0.1?Route=%3Csip:x%3E>\n")},
    /* 3.4: RFC 2543 */
    {"3.4.1", "400",
     "INVITE sip:s@127.0.0.1:@T SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:@P\nFrom: <sip:a@b>\nTo: "
     "<sip:s@b>\n"
     "Call-ID: g1\nCSeq: 1 INVITE\n\n"},
};

static void
test_row (gconstpointer data)
{
  unsigned row = GPOINTER_TO_UINT (data);
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  if (rows[row].status != NULL)
    g_free (sip_wire_ask (&wire, rows[row].status, rows[row].text));
  else
    sip_wire_ask_nothing (&wire, rows[row].text);
  /* And it lives. */
  g_autofree char *probe =
      sip_wire_request ("OPTIONS", "sip:127.0.0.1:@T", "probe", "", "alive", 1, "");
  g_free (sip_wire_ask (&wire, "200", probe));
  sip_wire_clear (&wire);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("/net/sip-torture/%s", rows[i].section);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_row);
  }
  return g_test_run ();
}
