#!/usr/bin/env escript
%%! +P 1000000
%% Puts the scenarios of a file to a real OTP supervisor and compares what is seen with what the file
%% expects.
%%
%% usage: escript otp_check.escript scenarios.jsonl
%%
%% Every scenario has a process of its own, which is the parent of its supervisor; all run in parallel.
%% Nothing waits by sleeping but `advance_ms`: a step is over when the supervisor answers a call, no
%% child that it names is dead and none is being restarted. Events are ordered by
%% erlang:unique_integer([monotonic]), which is causal. The stops at the end of a simple_one_for_one
%% supervisor have no defined order and are compared sorted.
%% Ends with a line "N scenarios, N equal, D different"; exit code 1 when any differs.

-module(otp_check).
-mode(compile).
-export([main/1, init/1, start_child/2, child_init/3, log/2]).

-define(SCENARIO_MS, 120000).
-define(ENDED_BY_INTENSITY, otp_check_ended_by_intensity).

main([File]) ->
    quiet(),
    {ok, Bytes} = file:read_file(File),
    Lines = binary:split(Bytes, <<"\n">>, [global, trim_all]),
    Began = erlang:monotonic_time(millisecond),
    Checks = [begin
                  Scenario = json(Line),
                  {Scenario, spawn_monitor(fun() -> exit({seen, run(Scenario)}) end)}
              end || Line <- Lines],
    Different = length([x || {Scenario, Check} <- Checks, not is_equal(Scenario, await(Check))]),
    Took = erlang:monotonic_time(millisecond) - Began,
    N = length(Checks),
    io:format("OTP ~s, ~b ms~n~b scenarios, ~b equal, ~b different~n",
              [erlang:system_info(otp_release), Took, N, N - Different, Different]),
    halt(case Different of 0 when N > 0 -> 0; _ -> 1 end);
main(_) ->
    io:format("usage: escript otp_check.escript scenarios.jsonl~n"),
    halt(2).

await({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {seen, Outcome}} -> Outcome;
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, Reason}
    after ?SCENARIO_MS ->
        {failed, {still_at, erlang:process_info(Pid, current_stacktrace)}}
    end.

is_equal(#{<<"id">> := Id, <<"expect">> := Expected} = Scenario, Seen) ->
    case {comparable(Scenario, Expected), comparable(Scenario, Seen)} of
        {Same, Same} -> true;
        {Wanted, Got} ->
            io:format("~ts~n  expected ~tp~n  seen     ~tp~n", [Id, Wanted, Got]),
            false
    end.

comparable(#{<<"strategy">> := <<"simple_one_for_one">>}, #{<<"log">> := Log} = Outcome) ->
    {Stops, Before} = lists:splitwith(fun is_stop/1, lists:reverse(Log)),
    Outcome#{<<"log">> := lists:reverse(Before, lists:sort(Stops))};
comparable(_, Outcome) ->
    Outcome.

is_stop(<<"stop ", _/binary>>) -> true;
is_stop(_) -> false.

%%% One scenario --------------------------------------------------------------------------------------

%% The environment of a scenario is a table: {child, Id} => Pid, {starts, Id} => count,
%% {fails, Id} => the starts that fail, moment => count, interruptions => list, {event, N} => what.
run(#{<<"children">> := Children, <<"steps">> := Steps} = Scenario) ->
    process_flag(trap_exit, true),
    Env = ets:new(environment, [public, set]),
    IsSimple = maps:get(<<"strategy">>, Scenario) =:= <<"simple_one_for_one">>,
    ets:insert(Env, [{moment, 0}, {is_simple, IsSimple},
                     {interruptions, maps:get(<<"interruptions">>, Scenario, [])}]),
    [learn(Env, Child) || Child <- Children],
    case supervisor:start_link(?MODULE, {flags(Scenario), specs(Env, IsSimple, Children)}) of
        {ok, Sup} ->
            settle(Env, Sup),
            [begin step(Env, Sup, Step), settle(Env, Sup) end || Step <- Steps],
            Fate = fate(Sup),
            Outcome = outcome(Env, Fate),
            end_quietly(Sup),
            Outcome;
        {error, {shutdown, {failed_to_start_child, _, _}}} ->
            outcome(Env, <<"boot_failed">>)
    end.

init({Flags, Specs}) ->
    {ok, {Flags, Specs}}.

flags(#{<<"strategy">> := Strategy, <<"intensity">> := Intensity, <<"period_s">> := Period,
        <<"auto_shutdown">> := Auto}) ->
    #{strategy => word(Strategy), intensity => Intensity, period => Period, auto_shutdown => word(Auto)}.

specs(Env, true, [Template]) ->
    [(spec(Env, Template))#{start => {?MODULE, start_child, [Env]}}];
specs(Env, false, Children) ->
    [spec(Env, Child) || Child <- Children].

spec(Env, #{<<"id">> := Id, <<"restart">> := Restart} = Child) ->
    #{id => Id, start => {?MODULE, start_child, [Env, Id]}, restart => word(Restart),
      significant => maps:get(<<"significant">>, Child, false), shutdown => infinity}.

learn(Env, #{<<"id">> := Id} = Child) ->
    ets:insert(Env, {{fails, Id}, maps:get(<<"fail_starts">>, Child, [])}).

outcome(Env, Fate) ->
    Log = [What || {_, What} <- lists:sort([{N, W} || {{event, N}, W} <- ets:tab2list(Env)])],
    Alive = [Id || {{child, Id}, Pid} <- ets:tab2list(Env), is_process_alive(Pid)],
    #{<<"log">> => Log, <<"alive">> => lists:sort(Alive), <<"supervisor">> => Fate}.

%% Why the supervisor is no more: it takes over the reason of whoever asked it, and gives up with
%% `shutdown`, after a report when it was for its intensity.
fate(Sup) ->
    IsRunning = is_process_alive(Sup),
    case IsRunning orelse receive {'EXIT', Sup, Reason} -> Reason end of
        true -> <<"running">>;
        {shutdown, asked} -> <<"shutdown">>;
        shutdown ->
            case ets:member(?ENDED_BY_INTENSITY, Sup) of
                true -> <<"intensity">>;
                false -> <<"auto_shutdown">>
            end
    end.

end_quietly(Sup) ->
    unlink(Sup),
    exit(Sup, kill).

%%% Steps ---------------------------------------------------------------------------------------------

step(_, _, #{<<"advance_ms">> := Ms}) ->
    timer:sleep(Ms);
step(Env, Sup, #{<<"together">> := Steps}) ->
    case hold(Sup) of
        true ->
            [post(Env, Sup, Step) || Step <- Steps],
            Sup ! release;
        false -> ok
    end;
step(Env, _, #{<<"exit">> := #{<<"child">> := Id, <<"reason">> := Reason}}) ->
    leave(Env, Id, Reason);
step(_, Sup, <<"shutdown">>) ->
    ask_to_end(Sup);
step(Env, Sup, Request) ->
    request(Env, Sup, Request).

ask_to_end(Sup) ->
    exit(Sup, {shutdown, asked}).

request(Env, Sup, Request) ->
    try call(Env, Sup, Request) catch exit:_ -> ended end.

call(Env, Sup, #{<<"terminate_child">> := Id}) ->
    supervisor:terminate_child(Sup, handle_of(Env, Id));
call(_, Sup, #{<<"restart_child">> := Id}) ->
    supervisor:restart_child(Sup, Id);
call(Env, Sup, #{<<"start_child">> := #{<<"id">> := Id} = Child}) ->
    is_process_alive(Sup) andalso learn(Env, Child),
    case ets:lookup_element(Env, is_simple, 2) of
        true -> supervisor:start_child(Sup, [Id]);
        false -> supervisor:start_child(Sup, spec(Env, Child))
    end.

%% A child of a simple_one_for_one supervisor has no name but its process.
handle_of(Env, Id) ->
    case {ets:lookup_element(Env, is_simple, 2), ets:lookup(Env, {child, Id})} of
        {true, [{_, Pid}]} -> Pid;
        _ -> Id
    end.

%% Makes the supervisor wait, deaf, so that what happens meanwhile stays in its mailbox, in order.
hold(Sup) ->
    Parent = self(),
    spawn(fun() ->
                  catch sys:replace_state(Sup, fun(State) ->
                                                       Parent ! {held, Sup},
                                                       receive release -> State end
                                               end, infinity)
          end),
    Monitor = monitor(process, Sup),
    receive
        {held, Sup} -> demonitor(Monitor, [flush]);
        {'DOWN', Monitor, process, Sup, _} -> false
    end.

%% As step/3, but for a supervisor on hold: returns when the message is in its mailbox.
post(Env, Sup, #{<<"exit">> := #{<<"child">> := Id, <<"reason">> := Reason}}) ->
    leave_and_tell(Env, Sup, Id, Reason);
post(_, Sup, <<"shutdown">>) ->
    Parent = self(),
    ask_to_end(Sup),
    arrived(Sup, fun({'EXIT', Pid, _}) -> Pid =:= Parent; (_) -> false end, 1);
post(Env, Sup, Request) ->
    IsCall = fun({'$gen_call', _, _}) -> true; (_) -> false end,
    Before = count(Sup, IsCall),
    spawn(fun() -> request(Env, Sup, Request) end),
    arrived(Sup, IsCall, Before + 1).

arrived(Sup, IsIt, Count) ->
    case count(Sup, IsIt) of
        N when N >= Count -> ok;
        _ -> erlang:yield(), arrived(Sup, IsIt, Count)
    end.

count(Sup, IsIt) ->
    case process_info(Sup, messages) of
        {messages, Messages} -> length(lists:filter(IsIt, Messages));
        undefined -> infinity
    end.

%% Lets a child end by itself and waits for its end; false when it does not run.
leave(Env, Id, Reason) ->
    case ets:lookup(Env, {child, Id}) of
        [{_, Pid}] -> is_process_alive(Pid) andalso leave_now(Env, Id, Pid, Reason);
        [] -> false
    end.

leave_now(Env, Id, Pid, Reason) ->
    event(Env, [<<"exit ">>, Id, <<" ">>, Reason]),
    Monitor = monitor(process, Pid),
    case Reason of
        <<"killed">> -> exit(Pid, kill);
        _ -> Pid ! {leave, exit_reason(Reason)}
    end,
    receive {'DOWN', Monitor, process, Pid, _} -> {true, Pid} end.

%% The same while the supervisor takes no such message out of its mailbox: waits until it is there.
leave_and_tell(Env, Sup, Id, Reason) ->
    case leave(Env, Id, Reason) of
        {true, Pid} -> arrived(Sup, fun({'EXIT', From, _}) -> From =:= Pid; (_) -> false end, 1);
        false -> ok
    end.

exit_reason(<<"normal">>) -> normal;
exit_reason(<<"shutdown">>) -> shutdown;
exit_reason(<<"shutdown_term">>) -> {shutdown, term};
exit_reason(<<"crash">>) -> crash.

%% Waits until the supervisor has handled all there is, or has ended.
settle(Env, Sup) ->
    try supervisor:which_children(Sup) of
        Children ->
            case lists:all(fun is_settled/1, Children) of
                true -> ok;
                false -> erlang:yield(), settle(Env, Sup)
            end
    catch
        exit:_ ->
            Monitor = monitor(process, Sup),
            receive {'DOWN', Monitor, process, Sup, _} -> ok end
    end.

is_settled({_, restarting, _, _}) -> false;
is_settled({_, undefined, _, _}) -> true;
is_settled({_, Pid, _, _}) -> is_process_alive(Pid).

%%% Children ------------------------------------------------------------------------------------------

%% Runs in the supervisor.
start_child(Env, Id) ->
    moment(Env, self()),
    Nth = ets:update_counter(Env, {starts, Id}, 1, {{starts, Id}, 0}),
    Fails = lists:member(Nth, ets:lookup_element(Env, {fails, Id}, 2)),
    case proc_lib:start_link(?MODULE, child_init, [Env, Id, Fails]) of
        {ok, Pid} ->
            moment(Env, self()),
            {ok, Pid};
        Error -> Error
    end.

child_init(Env, Id, true) ->
    event(Env, [<<"start_failed ">>, Id]),
    proc_lib:init_ack({error, fails}),
    exit(normal);
child_init(Env, Id, false) ->
    process_flag(trap_exit, true),
    [Sup | _] = get('$ancestors'),
    ets:insert(Env, {{child, Id}, self()}),
    event(Env, [<<"start ">>, Id]),
    proc_lib:init_ack({ok, self()}),
    receive
        {leave, Reason} -> exit(Reason);
        {'EXIT', Sup, Reason} ->
            event(Env, [<<"stop ">>, Id]),
            ets:delete(Env, {child, Id}),
            ets:lookup_element(Env, is_simple, 2) orelse moment(Env, Sup),
            exit(Reason)
    end.

%% One more moment has come: whoever is to end in it ends now.
moment(Env, Sup) ->
    Now = ets:update_counter(Env, moment, 1),
    [leave_and_tell(Env, Sup, Id, Reason)
     || #{<<"moment">> := At, <<"child">> := Id, <<"reason">> := Reason}
            <- ets:lookup_element(Env, interruptions, 2), At =:= Now].

event(Env, What) ->
    ets:insert(Env, {{event, erlang:unique_integer([monotonic])}, iolist_to_binary(What)}).

%%% Reports of supervisors ----------------------------------------------------------------------------

%% Replaces the printing of reports by a note of who reported that its intensity was reached.
quiet() ->
    ?ENDED_BY_INTENSITY = ets:new(?ENDED_BY_INTENSITY, [public, named_table, set]),
    ok = logger:add_handler(?MODULE, ?MODULE, #{}),
    ok = logger:remove_handler(default).

log(#{msg := {report, #{label := {supervisor, shutdown}, report := Report}}}, _) ->
    {supervisor, {Sup, ?MODULE}} = lists:keyfind(supervisor, 1, Report),
    reached_max_restart_intensity = proplists:get_value(reason, Report),
    ets:insert(?ENDED_BY_INTENSITY, {Sup});
log(_, _) ->
    ok.

word(Word) -> binary_to_existing_atom(Word).

%%% JSON (OTP 25 has none): objects are maps, strings binaries ----------------------------------------

json(Text) ->
    {Value, Rest} = value(space(Text)),
    <<>> = space(Rest),
    Value.

value(<<"{", Rest/binary>>) -> object(space(Rest), #{});
value(<<"[", Rest/binary>>) -> array(space(Rest), []);
value(<<"\"", Rest/binary>>) -> string(Rest, <<>>);
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(<<"null", Rest/binary>>) -> {null, Rest};
value(Text) -> number(Text, <<>>).

object(<<"}", Rest/binary>>, Map) -> {Map, Rest};
object(<<",", Rest/binary>>, Map) -> object(space(Rest), Map);
object(<<"\"", Rest/binary>>, Map) ->
    {Key, AfterKey} = string(Rest, <<>>),
    <<":", AfterColon/binary>> = space(AfterKey),
    {Value, AfterValue} = value(space(AfterColon)),
    object(space(AfterValue), Map#{Key => Value}).

array(<<"]", Rest/binary>>, List) -> {lists:reverse(List), Rest};
array(<<",", Rest/binary>>, List) -> array(space(Rest), List);
array(Text, List) ->
    {Value, Rest} = value(Text),
    array(space(Rest), [Value | List]).

string(<<"\"", Rest/binary>>, Done) -> {Done, Rest};
string(<<"\\", Char, Rest/binary>>, Done) when Char =:= $"; Char =:= $\\; Char =:= $/ ->
    string(Rest, <<Done/binary, Char>>);
string(<<Char, Rest/binary>>, Done) when Char =/= $\\ -> string(Rest, <<Done/binary, Char>>).

number(<<Digit, Rest/binary>>, Done) when Digit >= $0, Digit =< $9; Digit =:= $- ->
    number(Rest, <<Done/binary, Digit>>);
number(Rest, Done) -> {binary_to_integer(Done), Rest}.

space(<<Char, Rest/binary>>) when Char =:= 32; Char =:= 9; Char =:= 13 -> space(Rest);
space(Text) -> Text.
