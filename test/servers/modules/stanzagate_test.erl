%% Runs an ejabberd for a test, and lets the test write a stanza straight into a user's session, as a server that lies or
%% errs would.
%%
%% Commands come on standard input, one a line:
%%   account JID base64(PASSWORD) SCRAM-ITERATIONS
%%   inject JID base64(XML)
%%   run - base64(EXPRESSIONS)
%% For `inject` a full JID names one session, a bare JID all sessions of that account. Each is answered, in their order,
%% by one line on standard output:
%%   stanzagate-test ok COUNT
%%   stanzagate-test error REASON
%% Standard input and not a port, so that nobody else can reach it, and so that its end tells this server that the test's
%% process is gone, however it went: the server then ends too, and removes its folder.
-module(stanzagate_test).
-export([start/1]).

%% Records are written as the tuples they are: where the header files are differs between distributions.

start([Folder]) ->
    spawn(fun() -> run(Folder) end).

run(Folder) ->
    %% Writing fails when nobody reads any more: then too it ends.
    try
        %% Bytes in, bytes out: nothing here is text.
        io:setopts([binary, {encoding, latin1}]),
        case ejabberd:start() of
            {ok, _} -> answer({ok, 0});
            {error, Reason} -> answer({error, Reason})
        end,
        obey_all()
    after
        stop(Folder)
    end.

%% As init:stop() would, which takes a second to come to it; and not waiting for ever for anything.
stop(Folder) ->
    spawn(fun() ->
        timer:sleep(5000),
        file:del_dir_r(Folder),
        halt(1, [{flush, false}])
    end),
    application:stop(ejabberd),
    application:stop(mnesia),
    file:del_dir_r(Folder),
    halt().

obey_all() ->
    case io:get_line("") of
        Line when is_binary(Line) ->
            answer(try obey(binary:split(string:trim(Line), <<" ">>, [global]))
                   catch _:Reason -> {error, Reason}
                   end),
            obey_all();
        _ ->
            eof
    end.

answer({ok, Count}) ->
    io:format("stanzagate-test ok ~b~n", [Count]);
answer({error, Reason}) when is_binary(Reason) ->
    io:format("stanzagate-test error ~s~n", [Reason]);
answer({error, Reason}) ->
    io:format("stanzagate-test error ~0p~n", [Reason]).

obey([<<"account">>, JID, Encoded, Iterations]) ->
    {User, Host, _} = jid:tolower(jid:decode(JID)),
    case ejabberd_auth:try_register(User, Host, credentials(base64:decode(Encoded), binary_to_integer(Iterations))) of
        ok -> {ok, 1};
        Error -> Error
    end;
obey([<<"inject">>, JID, Encoded]) ->
    inject(JID, base64:decode(Encoded));
obey([<<"run">>, _, Encoded]) ->
    {ok, Tokens, _} = erl_scan:string(binary_to_list(base64:decode(Encoded))),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, ok, _} = erl_eval:exprs(Expressions, []),
    {ok, 1};
obey(_) ->
    {error, <<"no command">>}.

%% As ejabberd keeps a password with SCRAM-SHA-1, but for the number of iterations, which it does not let one choose.
credentials(Password, Iterations) ->
    Salt = <<"stanzagate">>,
    Salted = scram:salted_password(sha, Password, Salt, Iterations),
    StoredKey = scram:stored_key(sha, scram:client_key(sha, Salted)),
    ServerKey = scram:server_key(sha, Salted),
    {scram, base64:encode(StoredKey), base64:encode(ServerKey), base64:encode(Salt), sha, Iterations}.

inject(JID, XML) ->
    case {sessions(jid:tolower(jid:decode(JID))), fxml_stream:parse_element(XML)} of
        {[], _} ->
            {error, <<"no session of ", JID/binary>>};
        {_, {error, _}} ->
            {error, <<"no well-formed element">>};
        {Pids, {xmlel, _, _, _} = Element} ->
            lists:foreach(fun(Pid) -> write(Pid, Element) end, Pids),
            {ok, length(Pids)}
    end.

sessions({User, Host, <<>>}) ->
    [Pid || {_, Pid} <- ejabberd_sm:get_session_sids(User, Host)];
sessions({User, Host, Resource}) ->
    [Pid || {_, Pid} <- ejabberd_sm:get_session_sids(User, Host, Resource)].

%% An undecoded element is written as it stands: a decoded one would have to be valid, and would get ejabberd's shape.
%% Stream management counts one only if it is told to. The session's state is asked for at the end because the answer
%% comes when what was sent before has been dealt with.
write(Pid, Element) ->
    sys:replace_state(Pid, fun(State) -> State#{mgmt_force_enqueue => true} end),
    ejabberd_c2s:send(Pid, Element),
    sys:get_state(Pid).
