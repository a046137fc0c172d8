// What both programs of the benchmark need of XML: where a first-level element ends, and what its attributes are. It is for the text that
// these programs and the subjects between them write, not for any XML.
#include <stddef.h>
#include <string.h>

// The end of the tag that begins at p, its '>' included; NULL: it is not all there. A quoted value may hold '>'.
static const char *tag_end(const char *p, const char *end) {
  char quote = 0;
  for (; p < end; p++) {
    if (quote) {
      if (*p == quote) quote = 0;
    } else if (*p == '"' || *p == '\'') quote = *p;
    else if (*p == '>') return p + 1;
  }
  return NULL;
}

// The length of the unit at p: a declaration, the start or end tag of the stream, or a whole element; 0: it is not all there.
static size_t unit_length(const char *p, const char *end) {
  if (end - p >= 2 && p[1] == '?') {
    const char *close = tag_end(p, end);
    return close ? (size_t)(close - p) : 0;
  }
  if (end - p >= 14 && (!memcmp(p, "<stream:stream", 14) || !memcmp(p, "</stream:strea", 14))) {
    const char *close = tag_end(p, end);
    return close ? (size_t)(close - p) : 0;
  }
  if (end - p < 14) {
    // It may become one of those: wait for more, unless it is a whole element already.
    if (!memcmp(p, "<stream:stream", end - p) || !memcmp(p, "</stream:strea", end - p)) return 0;
  }
  int depth = 0;
  const char *at = p;
  while (at < end) {
    at = memchr(at, '<', end - at);
    if (!at || at + 1 >= end) return 0;
    if (end - at >= 9 && !memcmp(at, "<![CDATA[", 9)) {
      const char *close = memmem(at, end - at, "]]>", 3);
      if (!close) return 0;
      at = close + 3;
      continue;
    }
    const char *close = tag_end(at, end);
    if (!close) return 0;
    if (at[1] == '/') depth--;
    else if (close[-2] != '/') depth++;
    at = close;
    if (depth == 0) return at - p;
  }
  return 0;
}

// The value of an attribute of the start tag at p; its length, or -1 if there is none.
static int attribute(const char *p, const char *end, const char *name, const char **value) {
  const char *stop = tag_end(p, end);
  size_t length = strlen(name);
  if (!stop) return -1;
  for (const char *at = p; at + length + 2 < stop; at++) {
    if (*at == '"' || *at == '\'') {
      at = memchr(at + 1, *at, stop - at - 1);
      if (!at) return -1;
      continue;
    }
    if (*at != ' ' || memcmp(at + 1, name, length) || at[1 + length] != '=') continue;
    const char *from = at + length + 3;
    const char *to = memchr(from, at[length + 2], stop - from);
    if (!to) return -1;
    *value = from;
    return to - from;
  }
  return -1;
}

static int is_named(const char *p, size_t length, const char *name) {
  size_t n = strlen(name);
  if (length < n + 2 || memcmp(p + 1, name, n)) return 0;
  char next = p[n + 1];
  return next == ' ' || next == '>' || next == '/';
}
