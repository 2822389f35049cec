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

#define TEN(x) x x x x x x x x x x
#define LONG TEN (TEN ("lo")) /* as in that RFC; of a tag or Call-ID we take 256 bytes */

/* One for each section of RFC 4475, all of them. What it lets an element be liberal in, sofia-sip is liberal in, unless the
 * answer here says otherwise. */
static const struct {
  const char *section, *status; /* status NULL = no answer */
  const char *text;
  bool registered; /* "a" has registered before */
} rows[] = {
    /* 3.1.1: valid */
    {"3.1.1.1", "200",
     "OPTIONS  sip:127.0.0.1:@T;unknownparam SIP/2.0\nTO :\n sip:a@b ;   tag    = 19\nfrom   : \"J "
     "\\\\\\\"\" "
     "<sip:a@b>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\nCall-ID: c1\ncseq: 0009\n  OPTIONS\n"
     "Via  : SIP  /   2.0\n /UDP\n    127.0.0.1:@P;rport;branch=@B\nl: 0\nNewFangledHeader:   x\n "
     "y\n\n"},
    {"3.1.1.2", "501",
     "!Our-Method0_*.%~' "
     "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-"
     "it)@127.0.0.1:@T SIP/2.0\n" V "From: token1~` token2'+_ token3*%!.- "
     "<sip:mundane@b>;fromParam''~+*_!.-%=\"\xd0\xb0\xd0\xb1\";tag=_1~'+*!-.%\n"
     "To: \"BEL:\\\x07 DEL:\\\x7f\" <sip:1_unusual.URI~@b>\nCall-ID: int%ZZ:[x]/?{}~\nCSeq: "
     "139122385 "
     "!Our-Method0_*.%~'\nextensionHeader-!.%*+_`'~:\xef\xbb\xbf\xe5\xa4\xa7\n" END},
    {"3.1.1.3", "200", O ("From: <sip:%61%20b@b>;tag=1\n" T "Call-ID: c3\n", "1 OPTIONS")},
    {"3.1.1.4", "404",
     "REGISTER sip:127.0.0.1:@T SIP/2.0\n" V
     "From: <sip:n%00@b>;tag=1\nTo: <sip:n%00@b>\nCall-ID: c4\n"
     "CSeq: 1 REGISTER\nContact: <sip:n@b>\n" END},
    {"3.1.1.5", "501",
     "RE%47IST%45R sip:127.0.0.1:@T SIP/2.0\n" V "From: \"%Z%45\" <sip:a@b>;tag=f232jadfj23\n" T
     "Call-ID: c5\nCSeq: 1 RE%47IST%45R\n"
     "Contact: <sip:alias1@127.0.0.1>\n" END},
    {"3.1.1.6", "200", O ("From: caller<sip:a@b>;tag=1\n" T "Call-ID: c6\n", "1 OPTIONS")},
    {"3.1.1.7", "200",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V "From: " LONG " <sip:a@b>;tag=" LONG
     "\nTo: \"I have a user name of " LONG "\" <sip:" LONG "@b;unknownparam1=" LONG
     ">\nCall-ID: " LONG "\nCSeq: 1 OPTIONS\nUnknown-" LONG ": " LONG
     "\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK" LONG "\n" END},
    {"3.1.1.8", "200", O (F T "Call-ID: c8\n", "1 OPTIONS") "more octets than there should be"},
    {"3.1.1.9", "200", R ("c9", "Contact: <sip:user;par=u%40example.net@127.0.0.1>\n")},
    {"3.1.1.10", "200",
     O (F T
        "Call-ID: c10\nVia: SIP/2.0/SCTP b;branch=z9hG4bK2\nVia: SIP/2.0/TLS b;branch=z9hG4bK3\n"
        "Via: SIP/2.0/UNKNOWN b;branch=z9hG4bK4\nVia: SIP/2.0/TCP b;branch=z9hG4bK5\n",
        "1 OPTIONS")},
    {"3.1.1.11", "415",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: c11\nCSeq: 1 OPTIONS\n"
     "Content-Type: multipart/mixed;boundary=x\nContent-Length: 5\n\n--x--"},
    {"3.1.1.12", NULL,
     "SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe\n" V F T "Call-ID: c12\nCSeq: 1 INVITE\n" END},
    {"3.1.1.13", NULL, "SIP/2.0 100 \n" V F T "Call-ID: c13\nCSeq: 1 INVITE\n" END},
    /* 3.1.2: invalid */
    {"3.1.2.1", "400",
     O (F T "Call-ID: d1\nContact: \"Joe\" <sip:joe@b>;;;;\nVia: SIP/2.0/UDP 192.0.2.15;;,;,,\n",
        "1 OPTIONS")},
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
    {"3.1.2.7", "400",
     "OPTIONS <sip:127.0.0.1:@T> SIP/2.0\n" V F T "Call-ID: d7\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.8", NULL, /* dropped: what it makes of that is no SIP/2.0 */
     "OPTIONS sip:127.0.0.1:@T; lr SIP/2.0\n" V F T "Call-ID: d8\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.9", "200",
     "OPTIONS  sip:127.0.0.1:@T  SIP/2.0\n" V F T "Call-ID: d9\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.10", "200",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0  \n" V F T "Call-ID: d10\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.11", "400",
     "OPTIONS sip:127.0.0.1:@T?Route=%3Csip:b%3E SIP/2.0\n" V F T
     "Call-ID: d11\nCSeq: 1 OPTIONS\n" END},
    {"3.1.2.12", "200", O (F T "Call-ID: d12\nDate: Fri, 01 Jan 2010 16:00:00 EST\n", "1 OPTIONS")},
    {"3.1.2.13", "400", R ("d13", "Contact: sip:a@127.0.0.1?Route=%3Csip:b%3E\n")},
    {"3.1.2.14", "200",
     O (F "To: \"Watson, Thomas\" < sip:t.watson@b >\nCall-ID: d14\n", "1 OPTIONS")},
    {"3.1.2.15", "400", O (F "To: Bell, Alexander <sip:a.g.bell@b>\nCall-ID: d15\n", "1 OPTIONS")},
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
    {"3.3.4", "404",
     "REGISTER sip:127.0.0.1:@T SIP/2.0\n" V
     "From: <http://www.b>;tag=3\nTo: <isbn:2983792873>\nCall-ID: f4\nCSeq: 1 REGISTER\n"
     "Contact: <name:John_Smith>\n" END},
    {"3.3.5", "420", O (F T "Call-ID: f5\nRequire: nothingSupportsThis\n", "1 OPTIONS")},
    {"3.3.6", "415",
     "INVITE sip:s@127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: f6\nCSeq: 1 INVITE\nContact: <sip:a@b>\n"
     "Content-Type: application/unknown\nContent-Length: 1\n\nx"},
    {"3.3.7", "200", R ("f7", "Authorization: NoOneKnowsThis p=1\nContact: <sip:a@127.0.0.1>\n")},
    {"3.3.8", "400", O (F F T T "Call-ID: f8\nCall-ID: f8b\n", "1 OPTIONS")},
    {"3.3.9", "400",
     "OPTIONS sip:127.0.0.1:@T SIP/2.0\n" V F T "Call-ID: f9\nCSeq: 1 OPTIONS\nContent-Length: 13\n"
     "Content-Length: 5\n\nThere's no way to know"},
    {"3.3.10", NULL,
     "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 255.255.255.255;branch=@B\n" F T
     "Call-ID: f10\nCSeq: 1 INVITE\n" END},
    {"3.3.11", "200", O (F T "Call-ID: f11\nMax-Forwards: 0\n", "1 OPTIONS")},
    {"3.3.12", "200", R ("f12", "Contact: sip:a@127.0.0.1;unknownparam\n")},
    {"3.3.13", "200", R ("f13", "Contact: <sip:a@127.0.0.1;unknownparam>\n")},
    {"3.3.14", "200", R ("f14", "Contact: <sip:a@127.0.0.1?Route=%3Csip:x%3E>\n")},
    {"3.3.15", "200", /* it has no body that could be unacceptable */
     "INVITE sip:s@127.0.0.1:@T SIP/2.0\n" V F "To: <sip:s@b>\nCall-ID: f15\nCSeq: 1 INVITE\n"
     "Contact: <sip:a@127.0.0.1:@P>\nAccept: text/nobodyKnowsThis\n" END,
     true},
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
  if (rows[row].registered)
    sip_wire_join (&wire, "a", 7574, NULL, NULL);
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
