"""libexpat, asked many times: is this what you read?

Standard input: batches of a length and questions; a question is a length and a document, a length and the events that were
read of it (events.ts), all lengths 4 bytes, big end first. Standard output: for each question 4 bytes: how the two readings
stand to each other, how this one ended, and of how many items. An item is a root's start tag, an element below it, its end tag;
with a first length of the highest bit set the document is one element, and its only item.
"""
import struct
import sys
from xml.parsers import expat

SAME, LESS, MORE, OTHER = range(4)  # what was given, against what is read here
WHOLE, WAITING, REFUSED = range(3)
waiting = {3, 5, 6, 20}  # no element found, unclosed token, partial character, unclosed CDATA section


def read(document, level):
    out = []
    add = out.append
    depth = items = whole = 0

    def start(name, attributes):
        nonlocal depth, items, whole
        add('\x01' + '\x02'.join((name, *attributes)) + '\x03')
        depth += 1
        if depth == level:
            items += 1
            whole = len(out)

    def end(name):
        nonlocal depth, items, whole
        add('\x04')
        depth -= 1
        if depth <= level:
            items += 1
            whole = len(out)

    def characters(text):
        if depth > level:
            add(text)

    parser = expat.ParserCreate('UTF-8', '\x0c')
    parser.buffer_text = parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    outcome = WHOLE
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        outcome = WAITING if error.code in waiting else REFUSED
    return ''.join(out[:whole]), items, outcome


def question(data, at):
    size, = struct.unpack_from('>I', data, at)
    level = 0 if size & 0x80000000 else 1
    size &= 0x7FFFFFFF
    here, items, outcome = read(data[at + 4:at + 4 + size], level)
    at += 4 + size
    size, = struct.unpack_from('>I', data, at)
    given = data[at + 4:at + 4 + size].decode()
    if given == here:
        relation = SAME
    elif here.startswith(given):
        relation = LESS
    else:
        relation = MORE if given.startswith(here) else OTHER
    return at + 4 + size, struct.pack('>BBH', relation, outcome, min(items, 65535))


if sys.argv[1:] == ['--version']:
    print(expat.EXPAT_VERSION, 'Python', sys.version.split()[0])
    sys.exit()
source, sink = sys.stdin.buffer, sys.stdout.buffer
while head := source.read(4):
    data = source.read(struct.unpack('>I', head)[0])
    at, answers = 0, []
    while at < len(data):
        at, answer = question(data, at)
        answers.append(answer)
    sink.write(b''.join(answers))
    sink.flush()
