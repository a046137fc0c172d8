-- Makes a Prosody that delivers a subscription request once, and not again at each login, as a server may err. It keeps the request: an answer is
-- taken. Prosody delivers those that are pending between these two events, and does nothing else in between; both come at each first
-- presence whose priority is not negative.
module:hook("presence/initial", function(event)
	local meta = event.origin.roster[false];
	event.origin.stanzagate_pending, meta.pending = meta.pending, {};
end);

module:hook("message/offline/broadcast", function(event)
	local pending = event.origin.stanzagate_pending;
	if pending then event.origin.roster[false].pending, event.origin.stanzagate_pending = pending, nil; end
end, 1000);
