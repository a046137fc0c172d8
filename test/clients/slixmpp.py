"""slixmpp, driven by lines of JSON.

Commands on standard input: {"do": "connect", ...}, {"do": "send", "xml": ...}, {"do": "cut"}, {"do": "stop"}. Each is
answered, in order, by {"done": ...} or {"failed": "why"} on standard output; between the answers come
{"stanza": "<xml/>"}, one for every stanza received. The end of standard input ends everything.
"""

import asyncio
import json
import sys
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from slixmpp import ClientXMPP
from slixmpp.stanza import Iq, Message, Presence

XML = "http://www.w3.org/XML/1998/namespace"
KINDS = {"message": Message, "presence": Presence, "iq": Iq}


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def split(name):
    return name[1:].split("}", 1) if name[0] == "{" else ("", name)


def text_of(element, inherited=""):
    """An element as text that declares its namespaces. slixmpp's own tostring() leaves out attributes with a namespace."""
    ns, name = split(element.tag)
    head = name if ns == inherited else "%s xmlns=%s" % (name, quoteattr(ns))
    for number, (key, value) in enumerate(element.attrib.items()):
        attribute_ns, key = split(key)
        if attribute_ns == XML:
            key = "xml:" + key
        elif attribute_ns:
            head += " xmlns:a%d=%s" % (number, quoteattr(attribute_ns))
            key = "a%d:%s" % (number, key)
        head += " %s=%s" % (key, quoteattr(value))
    inner = escape(element.text or "")
    for child in element:
        inner += text_of(child, ns) + escape(child.tail or "")
    return "<%s>%s</%s>" % (head, inner, name) if inner else "<%s/>" % head


class Client(ClientXMPP):
    def __init__(self, jid, password, certificate):
        super().__init__(jid, password)
        self.ca_certs = certificate
        self.use_ipv6 = False
        self.use_aiodns = False
        # What a user would be asked is not decided here.
        self.auto_authorize = None
        self.auto_subscribe = False
        self.register_plugin("xep_0198")
        self.add_filter("in", self.note)
        self.outcome = None
        self.add_event_handler("session_start", lambda _: self.settle(False))
        self.add_event_handler("session_resumed", lambda _: self.settle(True))
        for event in ("connection_failed", "failed_all_auth", "disconnected", "ssl_invalid_chain"):
            self.add_event_handler(event, lambda why, event=event: self.fail("%s: %s" % (event, why)))

    def note(self, stanza):
        if isinstance(stanza, (Message, Presence, Iq)):
            say(stanza=text_of(stanza.xml))
        return stanza

    def settle(self, resumed):
        if self.outcome and not self.outcome.done():
            self.outcome.set_result(resumed)

    def fail(self, why):
        if self.outcome and not self.outcome.done():
            self.outcome.set_exception(RuntimeError(why))

    async def login(self, port, direct):
        self.outcome = asyncio.get_running_loop().create_future()
        self.default_port = port  # what it goes to, having looked up "localhost", whatever the address says
        self.connect(("localhost", port), use_ssl=direct, force_starttls=not direct, disable_starttls=direct)
        resumed = await self.outcome
        return {"jid": self.boundjid.full, "resumed": resumed}

    async def send_text(self, text):
        element = ET.fromstring("<stream xmlns='jabber:client'>%s</stream>" % text)
        if len(element) != 1:
            raise ValueError("not one element")
        kind = KINDS.get(split(element[0].tag)[1])
        element[0].tail = None
        # What is no stanza goes as it is, and stream management does not count it.
        self.send(kind(self, xml=element[0]) if kind else text)
        await self.waiting_queue.join()

    async def cut(self):
        gone = self.disconnected
        self.transport.abort()
        await gone


async def obey(command, clients):
    if command["do"] == "connect":
        if not clients:
            clients.append(Client(command["jid"], command["password"], command["certificate"]))
        return await clients[0].login(command["port"], command["direct"])
    if not clients:
        if command["do"] == "stop":
            return {}
        raise RuntimeError("connect comes first")
    if command["do"] == "send":
        await clients[0].send_text(command["xml"])
    elif command["do"] == "cut":
        await clients[0].cut()
    elif command["do"] == "stop" and clients[0].transport:
        await clients[0].disconnect()
    return {}


async def main():
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clients = []
    while line := await reader.readline():
        try:
            say(done=await obey(json.loads(line), clients))
        except Exception as error:
            say(failed="%s: %s" % (type(error).__name__, error))


asyncio.run(main())
