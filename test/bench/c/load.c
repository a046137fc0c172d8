// The load generator: pairs of clients that log in (SASL PLAIN, bind, roster, presence) and then exchange stanzas, each with its sender and a sequence
// number. Anything lost, repeated, out of order or from somebody else, any error and any closed stream ends it with status 1.
//
//   load PORT SCENARIO PAIRS COUNT [WINDOW] [RATE]
//
// SCENARIO: chat, presence, subscription (six steps for each pair, one after the other), login (COUNT logins), idle (log in and stay), flood (the
// first of each pair sends COUNT messages as fast as they are taken), stall (the same, and the second reads nothing until it is told to). WINDOW:
// stanzas of one sender in flight. RATE: stanzas a second of all, sent by the clock whatever comes back. When everything is ready, and when it is
// measured, it prints a line and waits for one, so that whoever watches can read what others have used until then. One thread, epoll.
//
// What the environment may say:
//   WEBSOCKET  the path at which it speaks WebSocket (RFC 7395)
//   BODY       bytes of the body of each chat message
//   TALKING    clients that have a stanza in flight; the others are silent
//   IN_TURN    with TALKING: each stanza is that of the next client, so that all of them talk
//   ROSTER     contacts that each roster must have
//   RESOURCES  sessions of each account; subscriptions and roster pushes must reach every one of them
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "xml.h"

enum { CONNECTING, AUTHENTICATING, BINDING, ROSTER, READY, CLOSING };

typedef struct {
  int fd, user, state, blocked, upgraded;
  char *in, *out;
  size_t in_length, in_size, out_length, out_size;
  uint32_t sent, received;
  // Contacts of its roster; the number of its session in its account.
  int contacts, resource;
  // Of a subscription cycle, in the pair's first client: the step that is under way, sessions that have not heard of it, whether the pair has stopped.
  int step, awaited, resting;
  // Roster pushes that have come.
  uint32_t pushed;
} Client;

static const char *scenario, *websocket;
static int port, pairs, window = 1, epoll, connected, ready, closed;
static int talking, in_turn, roster, resources = 1, total;
static long count, delivered, started, rate, pushed, next_client;
// The size of a body, and the letters that it ends with; 0: bodies are as chat() has them.
static long body;
static char *filler;
// The connection of a client that has stalled may end; whether the last question of a flood is answered.
static int may_end, answered;
static Client *clients;
static uint64_t *latencies;
static long latency_count;

static void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  exit(1);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void flush(Client *c) {
  size_t done = 0;
  while (done < c->out_length) {
    ssize_t n = write(c->fd, c->out + done, c->out_length - done);
    if (n <= 0) {
      if (errno != EAGAIN) fail("u%d cannot write: %s", c->user, strerror(errno));
      break;
    }
    done += n;
  }
  memmove(c->out, c->out + done, c->out_length - done);
  c->out_length -= done;
  int blocked = c->out_length > 0;
  if (blocked != c->blocked) {
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
  }
  c->blocked = blocked;
}

static void put(Client *c, const char *text, size_t length) {
  if (c->out_length + length > c->out_size) c->out = realloc(c->out, c->out_size = (c->out_length + length) * 2);
  memcpy(c->out + c->out_length, text, length);
  c->out_length += length;
}

// One message, masked with zeros, which leave it as it is. A stanza declares its namespace (RFC 7395 section 3.3.3).
static void put_message(Client *c, const char *text, size_t length) {
  static const char declared[] = " xmlns='jabber:client'";
  size_t name = strcspn(text, " />");
  int is_stanza = is_named(text, length, "message") || is_named(text, length, "presence") || is_named(text, length, "iq");
  size_t more = is_stanza ? sizeof declared - 1 : 0, all = length + more;
  unsigned char head[8] = {0x81, 0x80 | (all < 126 ? all : 126), all >> 8, all};
  if (all < 126) memset(head + 2, 0, 4);
  put(c, (char *)head, all < 126 ? 6 : 8);
  put(c, text, name);
  put(c, declared, more);
  put(c, text + name, length - name);
}

static void say(Client *c, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (websocket) put_message(c, text, n);
  else put(c, text, n);
}

static void header(Client *c) {
  if (websocket) return say(c, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>");
  say(c, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>");
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void authenticate(Client *c) {
  unsigned char plain[64];
  char text[128];
  int length = snprintf((char *)plain, sizeof plain, "%cu%d%csecret", 0, c->user, 0), n = 0;
  for (int i = 0; i < length; i += 3) {
    unsigned bits = plain[i] << 16 | (i + 1 < length ? plain[i + 1] : 0) << 8 | (i + 2 < length ? plain[i + 2] : 0);
    for (int j = 0; j < 4; j++) text[n++] = i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  say(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%.*s</auth>", n, text);
}

static void open_client(Client *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("u%d cannot connect: %s", c->user, strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int flags = fcntl(c->fd, F_GETFL);
  fcntl(c->fd, F_SETFL, flags | O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  c->state = CONNECTING;
  c->blocked = 0;
  c->in_length = c->out_length = 0;
  c->upgraded = 0;
  if (websocket) {
    char request[512];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n", websocket);
    put(c, request, n);
  } else header(c);
  flush(c);
  connected++;
}

// A message with a body of that size: sender, number and time as in chat(), then letters.
static void long_chat(Client *c) {
  char head[256];
  int n = snprintf(head, sizeof head, "<message to='u%d@localhost/r0' type='chat' id='m%u'><body>", c->user ^ 1, c->sent);
  put(c, head, n);
  n = snprintf(head, sizeof head, "%d %u %llu ", c->user, c->sent, rate ? (unsigned long long)now() : 0ull);
  put(c, head, n);
  put(c, filler + n, body - n);
  put(c, "</body></message>", 17);
  c->sent++;
}

static void chat(Client *c) {
  if (body) return long_chat(c);
  say(c, "<message to='u%d@localhost/r0' type='chat' id='m%u'><body>%d %u %llu Wherefore art thou, Romeo? Deny thy father.</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
      c->user ^ 1, c->sent, c->user, c->sent, rate ? (unsigned long long)now() : 0ull);
  c->sent++;
}

static void presence(Client *c) {
  say(c, "<presence id='p%u'><show>away</show><status>%d %u in the orchard</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://example.org/client' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
      c->sent, c->user, c->sent);
  c->sent++;
}

static const char *steps[] = {"subscribe", "subscribed", "unsubscribe", "subscribe", "subscribed", "unsubscribed"};

// What the roster pushes of these steps show to the first of the pair, and to the second, who has none of a request.
static const char *shown[2][6] = {{"none, asks", "to", "none", "none, asks", "to", "none"}, {"from", "none", "from", "none"}};
static const int pushes[2] = {6, 4};

// Which of the pair takes the step: the first asks, gives up and asks again; the second approves and cancels.
static int is_of_second(int step) { return step == 1 || step == 4 || step == 5; }

static void step(Client *first) {
  Client *sender = is_of_second(first->step) ? first + resources : first;
  first->awaited = resources;
  say(sender, "<presence to='u%d@localhost' type='%s' id='s%u'/>", sender->user ^ 1, steps[first->step], ++first->sent);
  flush(sender);
}

static void subscription(Client *c, const char *type, int length) {
  Client *first = clients + (c->user & ~1) * resources;
  const char *expected = steps[first->step];
  if (length != (int)strlen(expected) || memcmp(type, expected, length)) fail("u%d got %.*s instead of %s", c->user, length, type, expected);
  if (c->user % 2 == is_of_second(first->step)) fail("u%d got its own %s", c->user, expected);
  if (c->received == first->sent) fail("u%d got %s twice", c->user, expected);
  c->received = first->sent;
  if (--first->awaited > 0) return;
  delivered++;
  first->step = (first->step + 1) % 6;
  if (delivered + pairs <= count || first->step != 0) step(first);
  else first->resting = 1;
}

// In a subscription cycle each roster push must show what is next.
static void push(Client *c, const char *p, size_t length) {
  const char *expected = shown[c->user % 2][c->pushed++ % pushes[c->user % 2]];
  const char *item = memmem(p, length, "<item ", 6), *value, *ask;
  char text[64];
  int n = item ? attribute(item, p + length, "subscription", &value) : -1;
  if (n < 0) fail("u%d got a roster push without a subscription: %.*s", c->user, (int)length, p);
  snprintf(text, sizeof text, "%.*s%s", n, value, attribute(item, p + length, "ask", &ask) > 0 ? ", asks" : "");
  if (strcmp(text, expected)) fail("session %d of u%d got a push of '%s' instead of '%s'", c->resource, c->user, text, expected);
  pushed++;
}

static void send_next(Client *c) {
  if (!strcmp(scenario, "chat")) chat(c);
  else presence(c);
}

static int is_body_whole(const char *text, const char *end) {
  const char *close = memmem(text, end - text, "</body>", 7), *letters = text;
  if (!close || close - text != body) return 0;
  // Sender, number and time may have any length: the letters behind them stand where they stand in the filler.
  for (int spaces = 0; spaces < 3; letters++) spaces += *letters == ' ';
  return !memcmp(letters, filler + (letters - text), close - letters);
}

static void stanza(Client *c, const char *p, size_t length) {
  const char *value;
  int n = attribute(p, p + length, "type", &value);
  if (n == 5 && !memcmp(value, "error", 5)) fail("u%d got an error: %.*s", c->user, (int)length, p);
  if (is_named(p, length, "iq")) {
    if (n == 3 && !memcmp(value, "set", 3)) {
      const char *id;
      int id_length = attribute(p, p + length, "id", &id);
      say(c, "<iq type='result' id='%.*s'/>", id_length, id);
      if (!strcmp(scenario, "subscription")) push(c, p, length);
    } else answered = 1;
    return;
  }
  if (!strcmp(scenario, "subscription")) {
    if (n >= 9) subscription(c, value, n);
    return;
  }
  int is_presence = !strcmp(scenario, "presence");
  const char *text = memmem(p, length, is_presence ? "<status>" : "<body>", is_presence ? 8 : 6);
  int sender;
  unsigned sequence;
  unsigned long long at = 0;
  if (!text) return;
  text = memchr(text, '>', length) + 1;
  char numbers[64];
  snprintf(numbers, sizeof numbers, "%.*s", (int)(p + length - text), text);
  if (sscanf(numbers, "%d %u %llu", &sender, &sequence, &at) < 2) return;
  if (sender != (c->user ^ 1)) fail("u%d got a stanza of u%d", c->user, sender);
  if (sequence != c->received) fail("u%d got stanza %u instead of %u", c->user, sequence, c->received);
  if (body && !is_body_whole(text, p + length)) fail("u%d got a body that is not the one that was sent", c->user);
  c->received++;
  delivered++;
  if (rate) {
    if (at) latencies[latency_count++] = now() - at;
    return;
  }
  if (started < count) {
    Client *from = in_turn ? clients + next_client++ % total : clients + sender;
    started++;
    send_next(from);
    if (from != c) flush(from);
  }
}

static int occurrences(const char *p, size_t length, const char *text) {
  int n = 0;
  size_t size = strlen(text);
  for (const char *at = p; (at = memmem(at, p + length - at, text, size)); at += size) n++;
  return n;
}

static void unit(Client *c, const char *p, size_t length) {
  if (p[1] == '?' || (length >= 14 && !memcmp(p, "<stream:stream", 14)) || is_named(p, length, "open")) return;
  if ((length >= 14 && !memcmp(p, "</stream:strea", 14)) || is_named(p, length, "close")) {
    if (c->state != CLOSING) fail("the stream of u%d was closed", c->user);
    closed++;
    return;
  }
  if (is_named(p, length, "stream:error") || is_named(p, length, "failure")) fail("u%d: %.*s", c->user, (int)length, p);
  switch (c->state) {
  case CONNECTING:
    if (!is_named(p, length, "stream:features")) return;
    authenticate(c);
    c->state = AUTHENTICATING;
    break;
  case AUTHENTICATING:
    if (is_named(p, length, "success")) header(c);
    else if (is_named(p, length, "stream:features")) {
      say(c, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r%d</resource></bind></iq>", c->resource);
      c->state = BINDING;
    }
    break;
  case BINDING:
    if (!is_named(p, length, "iq")) return;
    say(c, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    say(c, "<presence/>");
    say(c, "<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>");
    c->state = ROSTER;
    break;
  case ROSTER: {
    const char *id;
    int n = attribute(p, p + length, "id", &id);
    if (n == 6 && !memcmp(id, "roster", 6)) c->contacts = occurrences(p, length, "<item ");
    if (n != 4 || memcmp(id, "ping", 4)) return;
    if (roster && c->contacts != roster) fail("u%d got %d contacts instead of %d", c->user, c->contacts, roster);
    c->state = READY;
    ready++;
    if (!strcmp(scenario, "login")) {
      c->state = CLOSING;
      say(c, websocket ? "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>" : "</stream:stream>");
    }
    break;
  }
  case READY:
    stanza(c, p, length);
  }
}

// Takes what is complete of the answer to the handshake and of messages; gives the place behind it.
static const char *messages(Client *c, const char *p, const char *end) {
  if (!c->upgraded) {
    const char *close = memmem(p, end - p, "\r\n\r\n", 4);
    if (!close) return p;
    if (memcmp(p, "HTTP/1.1 101", 12)) fail("u%d: %.*s", c->user, (int)(close - p), p);
    c->upgraded = 1;
    p = close + 4;
    header(c);
  }
  while (end - p >= 2) {
    const unsigned char *head = (const unsigned char *)p;
    size_t length = head[1] & 127, skip = 2;
    if (length == 127) fail("u%d got a message of more than 65,535 bytes", c->user);
    if (length == 126) {
      if (end - p < 4) break;
      length = head[2] << 8 | head[3];
      skip = 4;
    }
    if ((size_t)(end - p) < skip + length) break;
    if ((head[0] & 15) == 1) unit(c, p + skip, length);
    p += skip + length;
  }
  return p;
}

static void readable(Client *c) {
  if (c->in_size - c->in_length < 16384) c->in = realloc(c->in, c->in_size = 2 * c->in_length + 65536);
  ssize_t n = read(c->fd, c->in + c->in_length, c->in_size - c->in_length);
  if (n == 0 || (n < 0 && may_end && errno == ECONNRESET)) {
    if (c->state != CLOSING && !may_end) fail("the connection of u%d was closed", c->user);
    close(c->fd);
    c->fd = -1;
    connected--;
    return;
  }
  if (n < 0) {
    if (errno == EAGAIN) return;
    fail("u%d cannot read: %s", c->user, strerror(errno));
  }
  c->in_length += n;
  const char *p = c->in, *end = c->in + c->in_length;
  if (websocket) p = messages(c, p, end);
  else while (p < end) {
    if (*p == ' ' || *p == '\n') {
      p++;
      continue;
    }
    size_t length = unit_length(p, end);
    if (length == 0) break;
    unit(c, p, length);
    p += length;
  }
  c->in_length = end - p;
  memmove(c->in, p, c->in_length);
  if (c->out_length > 0) flush(c);
}

// When something has come last.
static uint64_t quiet_since;

static void turn(int timeout) {
  struct epoll_event events[256];
  int n = epoll_wait(epoll, events, 256, timeout);
  if (n > 0) quiet_since = now();
  if (now() - quiet_since > 60000000000ull) fail("nothing has come for a minute; %ld were delivered", delivered);
  for (int i = 0; i < n; i++) {
    Client *c = events[i].data.ptr;
    if (c->fd >= 0 && events[i].events & EPOLLOUT) flush(c);
    if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
  }
}

// Whoever watches looks now, and says when it goes on.
static void pause_at(const char *what) {
  char line[64];
  printf("%s\n", what);
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) exit(1);
  quiet_since = now();
}

static int ascending(const void *one, const void *other) {
  uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
  return a < b ? -1 : a > b;
}

static void exchange(long more) {
  count = started + more;
  if (rate) {
    uint64_t began = now();
    for (long sent = 0; delivered < count;) {
      uint64_t elapsed = now() - began;
      if (elapsed > 60000000000ull) fail("only %ld of %ld were delivered in a minute", delivered, count);
      for (long due = elapsed * rate / 1000000000ull; sent < more && sent < due; sent++, started++) {
        Client *c = clients + started % total;
        send_next(c);
        flush(c);
      }
      turn(sent < more ? 1 : 100);
    }
    return;
  }
  for (int i = 0; i < (talking ? talking : total); i++)
    for (int j = 0; j < window && started < count; j++, started++) {
      Client *c = in_turn ? clients + next_client++ % total : clients + i;
      send_next(c);
      flush(c);
    }
  while (delivered < count) turn(1000);
}

static void cycles(long more) {
  count = delivered + more;
  for (int i = 0; i < pairs; i++) {
    clients[2 * i * resources].resting = 0;
    step(clients + 2 * i * resources);
  }
  while (1) {
    int done = 0;
    for (int i = 0; i < pairs; i++) done += clients[2 * i * resources].resting;
    if (done == pairs) break;
    turn(1000);
  }
  // Ten pushes in a cycle for each session of both.
  while (pushed < delivered / 6 * 10 * resources) turn(1000);
}

// An answer shows that everything that was sent before has crossed.
static void ask(Client *c) {
  answered = 0;
  say(c, "<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>");
  flush(c);
  while (!answered) turn(1000);
}

static void flood(long each) {
  for (int left = pairs; left > 0;) {
    left = pairs;
    for (int i = 0; i < pairs; i++) {
      Client *c = clients + 2 * i;
      while (c->sent < each && c->out_length < 65536) chat(c);
      if (!c->blocked) flush(c);
      if (c->sent == each && c->out_length == 0) left--;
    }
    if (left > 0) turn(1);
  }
  for (int i = 0; i < pairs; i++) ask(clients + 2 * i);
}

// The second of each pair is not read, or is read again.
static void listen_to_second(int operation) {
  for (int i = 0; i < pairs; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = clients + 2 * i + 1};
    epoll_ctl(epoll, operation, clients[2 * i + 1].fd, &event);
  }
}

// Reads what has been held back, until everything is there or the connections have ended.
static void catch_up(long wanted) {
  may_end = 1;
  listen_to_second(EPOLL_CTL_ADD);
  while (delivered < wanted && connected > pairs) turn(1000);
  // Those who have sent are still served.
  for (int i = 0; i < pairs; i++) ask(clients + 2 * i);
}

static long number_of(const char *name, long fallback) {
  const char *value = getenv(name);
  return value ? atol(value) : fallback;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 5) return fprintf(stderr, "load PORT SCENARIO PAIRS COUNT [WINDOW] [RATE]\n"), 2;
  port = atoi(argv[1]);
  scenario = argv[2];
  websocket = getenv("WEBSOCKET");
  pairs = atoi(argv[3]);
  long wanted = atol(argv[4]);
  if (argc > 5) window = atoi(argv[5]);
  if (argc > 6) rate = atol(argv[6]);
  body = number_of("BODY", 0);
  talking = number_of("TALKING", 0);
  in_turn = number_of("IN_TURN", 0);
  roster = number_of("ROSTER", 0);
  resources = number_of("RESOURCES", 1);
  total = 2 * pairs * resources;
  if (talking > total) talking = total;
  if (body && (body < 60 || websocket)) return fprintf(stderr, "load: a BODY has 60 bytes or more, and goes over TCP\n"), 2;
  if (resources > 1 && strcmp(scenario, "subscription") && strcmp(scenario, "idle")) return fprintf(stderr, "load: RESOURCES are for subscriptions\n"), 2;
  static const char words[] = "Wherefore art thou, Romeo? Deny thy father and refuse thy name. ";
  filler = malloc(body + 1);
  for (long i = 0; i < body; i++) filler[i] = words[i % (sizeof words - 1)];
  epoll = epoll_create1(0);
  clients = calloc(total, sizeof *clients);
  latencies = calloc(wanted + wanted / 5 + 1, sizeof *latencies);
  for (int i = 0; i < total; i++) {
    clients[i].user = i / resources;
    clients[i].resource = i % resources;
    clients[i].fd = -1;
  }
  uint64_t began;
  long measured;
  quiet_since = now();
  if (!strcmp(scenario, "login")) {
    // So many at a time as there are clients.
    long begun = 0, target = wanted / 5;
    for (int phase = 0; phase < 2; phase++) {
      if (phase == 1) {
        pause_at("ready");
        target = begun + wanted;
      }
      began = now();
      while (begun < target || connected > 0) {
        for (int i = 0; i < total && begun < target; i++)
          if (clients[i].fd < 0) {
            open_client(clients + i);
            begun++;
          }
        turn(1000);
      }
    }
    measured = wanted;
  } else {
    for (int i = 0; i < total; i++) {
      open_client(clients + i);
      while (i + 1 - ready > 50) turn(1000);
    }
    while (ready < total) turn(1000);
    if (!strcmp(scenario, "idle")) {
      pause_at("ready");
      return 0;
    }
    int is_stall = !strcmp(scenario, "stall");
    if (is_stall || !strcmp(scenario, "flood")) {
      char text[64];
      if (is_stall) listen_to_second(EPOLL_CTL_DEL);
      pause_at("ready");
      flood(wanted);
      if (is_stall) {
        pause_at("sent");
        catch_up(wanted * pairs);
      }
      while (!is_stall && delivered < wanted * pairs) turn(1000);
      snprintf(text, sizeof text, "{\"delivered\":%ld}", delivered);
      pause_at(text);
      return 0;
    }
    int is_cycle = !strcmp(scenario, "subscription");
    if (is_cycle) cycles(wanted / 5);
    else exchange(wanted / 5);
    pause_at("ready");
    latency_count = 0;
    long before = delivered;
    began = now();
    if (is_cycle) cycles(wanted);
    else exchange(wanted);
    measured = delivered - before;
  }
  double seconds = (now() - began) / 1e9;
  qsort(latencies, latency_count, sizeof *latencies, ascending);
  char text[256];
  snprintf(text, sizeof text, "{\"delivered\":%ld,\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f}", measured, seconds,
           latency_count ? latencies[latency_count / 2] / 1e3 : 0, latency_count ? latencies[latency_count * 99 / 100] / 1e3 : 0);
  pause_at(text);
  return 0;
}
