-- Lets a test write a stanza straight into a user's session, as a server that lies or errs would.
--
-- Commands come on standard input, one a line, and the next one only after the answer to the last:
--   JID base64(XML)
--   run base64(LUA)
-- a full JID names one session, a bare JID all sessions of that account. The answer is one line on standard output:
--   stanzagate-test ok SESSIONS
--   stanzagate-test error REASON
-- Standard input and not a port, so that nobody else can reach it, and so that its end ends this server too: by the test, or because
-- the test's process is gone.
module:set_global()

local base64 = require "util.encodings".base64
local parse_xml = require "util.xml".parse
local server = require "net.server"
local timer = require "util.timer"

local prefix = "stanzagate-test "

local function answer(line)
	io.stdout:write(prefix, line, "\n")
	io.stdout:flush()
end

local function sessions_of(jid)
	local full = prosody.full_sessions[jid]
	if full then return { full } end
	local account = prosody.bare_sessions[jid]
	local list = {}
	for _, session in pairs(account and account.sessions or {}) do list[#list + 1] = session end
	return list
end

local function inject(jid, xml)
	local sessions = sessions_of(jid)
	if #sessions == 0 then return nil, "no session of " .. jid end
	for _, session in ipairs(sessions) do
		-- Parsed again for each session: its filters may write to what they are given.
		local stanza, reason = parse_xml(xml)
		if not stanza then return nil, "no well-formed element: " .. tostring(reason) end
		if stanza.attr.xmlns == "jabber:client" then stanza.attr.xmlns = nil end -- as Prosody keeps its own stanzas
		if not session.send(stanza) then return nil, "the session of " .. jid .. " is closed" end
	end
	return #sessions
end

local function obey(line)
	local jid, encoded = line:match("^(%S+) (%S+)$")
	local xml = encoded and base64.decode(encoded)
	if not xml then return nil, "no command" end
	if jid == "run" then return assert(load(xml))() end
	return inject(jid, xml)
end

local function shut_down()
	prosody.main_thread:run(function ()
		prosody.unlock_globals()
		prosody.shutdown("its standard input has ended")
		prosody.lock_globals()
	end)
end

local function on_readable(watch)
	local line = io.stdin:read("l")
	if not line then
		watch:close()
		return shut_down()
	end
	local ran, count, reason = pcall(obey, line)
	if not ran then count, reason = nil, count end
	answer(count and ("ok " .. count) or ("error " .. (tostring(reason):gsub("%s+", " "))))
end

module:hook("server-started", function ()
	server.watchfd(0, on_readable)
	answer("started")
end)

-- The main loop sees that its last connection is closed only when something wakes it: by itself a second later.
module:hook("server-stopped", function ()
	timer.add_task(0.01, function () return 0.01 end)
end)
