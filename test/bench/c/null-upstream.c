// A server that does as little as a server can: it answers a login, routes by `to`, tells a presence to the user's partner, and sends the roster
// pushes of a subscription cycle to every session of the account. Users are u0, u1, ...; partners are u0 and u1, u2 and u3, and so on. With ROSTER
// in the environment each roster has so many contacts: the partner, and others. One thread, epoll. It prints its port.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "xml.h"

#define USERS 40000
#define HEADER "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s' from='localhost' version='1.0'>"

typedef struct Connection {
  int fd, user, authenticated, blocked, dirty;
  char resource[32];
  // The next session of the same user.
  struct Connection *next;
  char *in, *out;
  size_t in_length, in_size, out_length, out_size;
} Connection;

// The first session of each user.
static Connection *by_user[USERS];
// The roster's other contacts.
static char *contacts;
static size_t contacts_length;
// Whether the user sees the partner, and whether a request of the user's is open.
static char sees[USERS], asks[USERS];
static int epoll;
// Connections with something to write: written once for all that one turn of the loop has brought about.
static Connection *dirty[USERS];
static int dirty_count;

static void watch(Connection *c, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(epoll, operation, c->fd, &event);
}

static void put(Connection *c, const char *text, size_t length) {
  if (!c->dirty) {
    c->dirty = 1;
    dirty[dirty_count++] = c;
  }
  if (c->out_length + length > c->out_size) {
    c->out_size = (c->out_length + length) * 2;
    c->out = realloc(c->out, c->out_size);
  }
  memcpy(c->out + c->out_length, text, length);
  c->out_length += length;
}

static void say(Connection *c, const char *text) { put(c, text, strlen(text)); }

static void flush(Connection *c, int is_writable) {
  size_t done = 0;
  // What waits for a reader is not looked at again until the reader has taken something.
  if (c->blocked && !is_writable) return;
  while (done < c->out_length) {
    ssize_t n = write(c->fd, c->out + done, c->out_length - done);
    if (n <= 0) break;
    done += n;
  }
  if (done > 0) memmove(c->out, c->out + done, c->out_length - done);
  c->out_length -= done;
  if (c->out_length == 0 && c->out_size > 65536) {
    free(c->out);
    c->out = NULL;
    c->out_size = 0;
  }
  int blocked = c->out_length > 0;
  if (blocked != c->blocked) watch(c, EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0));
  c->blocked = blocked;
}

static int user_of(const char *jid, int length) {
  if (length < 2 || jid[0] != 'u') return -1;
  int user = atoi(jid + 1);
  return user >= 0 && user < USERS ? user : -1;
}

static int decoded(int c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// The user of SASL PLAIN: NUL user NUL password.
static int plain_user(const char *p, const char *end) {
  char text[256];
  size_t length = 0;
  unsigned bits = 0, count = 0;
  for (p = tag_end(p, end); p && p < end && length < sizeof text - 1; p++) {
    int value = decoded(*p);
    if (value < 0) break;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) text[length++] = bits >> (count -= 8);
  }
  text[length] = 0;
  return length > 1 ? user_of(text + 1, length - 1) : -1;
}

static void bind_session(Connection *c, const char *p, size_t length) {
  const char *from = memmem(p, length, "<resource>", 10), *to = from ? memchr(from + 10, '<', p + length - from - 10) : NULL;
  snprintf(c->resource, sizeof c->resource, "%.*s", to ? (int)(to - from - 10) : 1, to ? from + 10 : "r");
  c->next = by_user[c->user];
  by_user[c->user] = c;
}

static void unbind_session(Connection *c) {
  if (c->user < 0) return;
  for (Connection **at = &by_user[c->user]; *at; at = &(*at)->next)
    if (*at == c) {
      *at = c->next;
      return;
    }
}

// The session with that full JID; NULL: there is none.
static Connection *session_of(const char *jid, int length) {
  int user = user_of(jid, length);
  const char *slash = memchr(jid, '/', length);
  if (user < 0 || !slash) return NULL;
  size_t size = jid + length - slash - 1;
  for (Connection *c = by_user[user]; c; c = c->next)
    if (strlen(c->resource) == size && !memcmp(c->resource, slash + 1, size)) return c;
  return NULL;
}

static void push(int user) {
  int partner = user ^ 1;
  const char *states[] = {"none", "to", "from", "both"};
  char text[512];
  static unsigned long id;
  for (Connection *c = by_user[user]; c; c = c->next) {
    int n = snprintf(text, sizeof text,
                     "<iq type='set' id='push%lu' to='u%d@localhost/%s'><query xmlns='jabber:iq:roster'><item jid='u%d@localhost' subscription='%s'%s/></query></iq>",
                     ++id, user, c->resource, partner, states[sees[user] + 2 * sees[partner]], asks[user] ? " ask='subscribe'" : "");
    put(c, text, n);
  }
}

// The element at p, with the sender's address in front of its other attributes.
static void route(Connection *from, Connection *to, const char *p, size_t length, const char *name, int is_bare) {
  char address[96];
  if (!to) return;
  size_t head = 1 + strlen(name);
  put(to, p, head);
  put(to, address, snprintf(address, sizeof address, " from='u%d@localhost%s%s'", from->user, is_bare ? "" : "/", is_bare ? "" : from->resource));
  const char *own;
  int own_length = attribute(p, p + length, "from", &own);
  if (own_length < 0) put(to, p + head, length - head);
  else {
    // The gate stamps it.
    put(to, p + head, own - 7 - (p + head));
    put(to, own + own_length + 1, p + length - (own + own_length + 1));
  }
}

static void route_to_all(Connection *from, int user, const char *p, size_t length, int is_bare) {
  for (Connection *to = by_user[user]; to; to = to->next) route(from, to, p, length, "presence", is_bare);
}

static void subscription(Connection *c, const char *type, int length, const char *p, size_t size) {
  int user = c->user, partner = user ^ 1;
  if (length == 9 && !memcmp(type, "subscribe", 9)) {
    asks[user] = !sees[user];
    push(user);
  } else if (length == 10 && !memcmp(type, "subscribed", 10)) {
    sees[partner] = 1;
    asks[partner] = 0;
    push(user);
    push(partner);
  } else if (length == 11 && !memcmp(type, "unsubscribe", 11)) {
    sees[user] = asks[user] = 0;
    push(user);
    push(partner);
  } else {
    sees[partner] = asks[partner] = 0;
    push(user);
    push(partner);
  }
  route_to_all(c, partner, p, size, 1);
}

static void result_begins(Connection *c, const char *p, size_t length) {
  const char *id;
  char text[1024];
  int n = attribute(p, p + length, "id", &id);
  put(c, text, snprintf(text, sizeof text, "<iq type='result' id='%.*s' to='u%d@localhost/%s'>", n < 0 ? 0 : n, id, c->user, c->resource));
}

static void make_contacts(int count) {
  contacts = malloc(128 * (size_t)count);
  for (int i = 1; i < count; i++)
    contacts_length += sprintf(contacts + contacts_length, "<item jid='contact%d@example.org' name='Contact %d' subscription='both'><group>Friends</group></item>", i, i);
}

static void unit(Connection *c, const char *p, size_t length) {
  const char *value;
  char text[256];
  if (p[1] == '?') return;
  if (!memcmp(p, "<stream:stream", 14)) {
    say(c, HEADER "<stream:features>");
    say(c, c->authenticated ? "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                            : "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>");
    say(c, "</stream:features>");
  } else if (!memcmp(p, "</stream:strea", 14)) {
    say(c, "</stream:stream>");
    unbind_session(c);
    flush(c, 0);
    shutdown(c->fd, SHUT_WR);
  } else if (is_named(p, length, "auth")) {
    c->user = plain_user(p, p + length);
    c->authenticated = c->user >= 0;
    say(c, c->authenticated ? "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
                            : "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
  } else if (is_named(p, length, "message")) {
    int n = attribute(p, p + length, "to", &value);
    if (n > 0) route(c, session_of(value, n), p, length, "message", 0);
  } else if (is_named(p, length, "presence")) {
    int n = attribute(p, p + length, "type", &value);
    int is_subscription = n >= 9 && (!memcmp(value, "subscribe", 9) || (n >= 11 && !memcmp(value, "unsubscribe", 11)));
    if (is_subscription) subscription(c, value, n, p, length);
    else route_to_all(c, c->user ^ 1, p, length, 0);
  } else if (is_named(p, length, "iq")) {
    if (attribute(p, p + length, "type", &value) > 0 && *value == 'r') return;
    if (memmem(p, length, "xmpp-bind", 9)) {
      bind_session(c, p, length);
      result_begins(c, p, length);
      put(c, text, snprintf(text, sizeof text, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>u%d@localhost/%s</jid></bind>", c->user, c->resource));
    } else {
      result_begins(c, p, length);
      if (memmem(p, length, "jabber:iq:roster", 16)) {
        put(c, text, snprintf(text, sizeof text, "<query xmlns='jabber:iq:roster'><item jid='u%d@localhost' subscription='none'/>", c->user ^ 1));
        put(c, contacts, contacts_length);
        say(c, "</query>");
      }
    }
    say(c, "</iq>");
  }
}

static void gone(Connection *c) {
  for (int i = 0; i < dirty_count; i++)
    if (dirty[i] == c) dirty[i] = dirty[--dirty_count];
  unbind_session(c);
  close(c->fd);
  free(c->in);
  free(c->out);
  free(c);
}

static int readable(Connection *c) {
  if (c->in_size - c->in_length < 16384) c->in = realloc(c->in, c->in_size = c->in_length + 65536);
  ssize_t n = read(c->fd, c->in + c->in_length, c->in_size - c->in_length);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
  if (n < 0) return 1;
  c->in_length += n;
  const char *p = c->in, *end = c->in + c->in_length;
  while (p < end) {
    if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
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
  if (c->in_length == 0 && c->in_size > 65536) {
    free(c->in);
    c->in = NULL;
    c->in_size = 0;
  }
  return 1;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  if (getenv("ROSTER")) make_contacts(atoi(getenv("ROSTER")));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 4096)) return perror("null-upstream"), 1;
  getsockname(server, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  epoll = epoll_create1(0);
  Connection accepting = {.fd = server};
  watch(&accepting, EPOLL_CTL_ADD, EPOLLIN);
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      Connection *c = events[i].data.ptr;
      if (c == &accepting) {
        for (int fd; (fd = accept4(server, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          Connection *fresh = calloc(1, sizeof *fresh);
          fresh->fd = fd;
          fresh->user = -1;
          watch(fresh, EPOLL_CTL_ADD, EPOLLIN);
        }
        continue;
      }
      if (events[i].events & EPOLLOUT) flush(c, 1);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !readable(c)) gone(c);
    }
    for (int i = 0; i < dirty_count; i++) {
      dirty[i]->dirty = 0;
      flush(dirty[i], 0);
    }
    dirty_count = 0;
  }
}
