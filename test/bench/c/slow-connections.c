// Connections that say a stream header one byte a second each and never finish it, evenly spread over the second. One that is closed is opened again.
//
//   slow-connections PORT COUNT MILLISECONDS
//
// They are opened one by one within so many milliseconds. It prints a line when all are open. For each line that it reads it prints how many are open at that moment, how many were opened so far, and
// how many of them were closed by the other side. It ends with its input. One thread, epoll.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost'"

// `fd`: -1 while it is not open.
typedef struct {
  int fd, said;
} Connection;

static Connection *connections;
static int count, port, opening, epoll, in_use;
static long opened, closed_by_peer;

static uint64_t milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void open_one(Connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) perror("slow-connections"), exit(1);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
    close(c->fd);
    c->fd = -1;
    return;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  c->said = 0;
  opened++;
  in_use++;
}

static void close_one(Connection *c) {
  close(c->fd);
  c->fd = -1;
  closed_by_peer++;
  in_use--;
}

// White space goes on where the header ends: it stands within the tag.
static void say_byte(Connection *c) {
  const char *next = c->said < (int)sizeof HEADER - 1 ? &HEADER[c->said] : " ";
  if (write(c->fd, next, 1) == 1) c->said++;
}

// What one of the thousand milliseconds of a second has to do.
static void tick(int part) {
  static int at, due;
  due += count;
  int may_open = due / opening;
  due %= opening;
  for (int looked = 0; looked < count && may_open > 0 && in_use < count; looked++, at = (at + 1) % count)
    if (connections[at].fd < 0) {
      open_one(connections + at);
      may_open--;
    }
  for (int i = part; i < count; i += 1000)
    if (connections[i].fd >= 0) say_byte(connections + i);
}

static void readable(Connection *c) {
  char bytes[4096];
  ssize_t n = read(c->fd, bytes, sizeof bytes);
  if (n == 0 || (n < 0 && errno != EAGAIN)) close_one(c);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc != 4) return fprintf(stderr, "slow-connections PORT COUNT MILLISECONDS\n"), 2;
  port = atoi(argv[1]);
  count = atoi(argv[2]);
  opening = atoi(argv[3]);
  epoll = epoll_create1(0);
  connections = calloc(count, sizeof *connections);
  for (int i = 0; i < count; i++) connections[i].fd = -1;
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
  epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
  int is_ready = 0;
  for (uint64_t begun = milliseconds(), done = 0;;) {
    int n = epoll_wait(epoll, events, 256, 1);
    for (int i = 0; i < n; i++) {
      char line[64];
      if (events[i].data.ptr) readable(events[i].data.ptr);
      else if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
      else printf("{\"open\":%d,\"opened\":%ld,\"closed\":%ld}\n", in_use, opened, closed_by_peer), fflush(stdout);
    }
    for (uint64_t due = milliseconds() - begun; done < due; done++) tick(done % 1000);
    if (!is_ready && in_use == count) is_ready = 1, printf("ready\n"), fflush(stdout);
  }
}
