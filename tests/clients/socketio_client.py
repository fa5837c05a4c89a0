"""python-socketio against the event stream: greeting, history, events, ping, coming back."""

import itertools
from collections.abc import Iterable, Iterator

import socketio
from checks import check, equal, must
from following import PATIENCE_S, Event, Job, arguments, begun, ended, nothing_missed

# The contract: a new client is given this many of the newest.
HISTORY = 100


def packet(client: socketio.SimpleClient, name: str) -> object:
    """The argument of the next packet, which must be of this name."""
    received, *data = client.receive(timeout=PATIENCE_S)
    must(f"packet: {name}", received == name, received)
    return data[0]


def next_of(client: socketio.SimpleClient, name: str) -> object:
    """The argument of the next packet of this name; others may come before it."""
    while True:
        received, *data = client.receive(timeout=PATIENCE_S)
        if received == name:
            return data[0]


def greeted(client: socketio.SimpleClient) -> None:
    hello = packet(client, "connected")
    equal("connected: status", hello["status"], "connected")
    check("connected: time and buffer", hello["server_time"] and hello["buffered_events"] > 0, hello)


def in_order(events: Iterable[Event], first: int) -> Iterator[Event]:
    """The events from number `first` on, as the server sent them: the library hands each packet to a thread of
    its own, so they may overtake each other."""
    waiting: dict[int, Event] = {}
    for event in events:
        must("live: no number twice", event["seq"] >= first and event["seq"] not in waiting, event)
        waiting[event["seq"]] = event
        while first in waiting:
            yield waiting.pop(first)
            first += 1


def follow(client: socketio.SimpleClient) -> Iterator[Event]:
    while True:
        yield next_of(client, "event")


def asked(client: socketio.SimpleClient) -> None:
    client.emit("ping")
    check("pong: tells the time", next_of(client, "pong")["timestamp"])
    client.emit("request_history")
    history = next_of(client, "event_history")
    check("request_history: the newest", 0 < len(history) <= HISTORY, len(history))


def main() -> None:
    args = arguments(__doc__)
    # First as the library does it by itself: polling, then an upgrade to WebSocket.
    with socketio.SimpleClient() as client:
        client.connect(args.events)
        greeted(client)
        history = packet(client, "event_history")
        check("history: the newest, in order", 0 < len(history) <= HISTORY, len(history))
        job = Job(args.orchestrator, args.source)
        before = begun(job, in_order(follow(client), history[-1]["seq"] + 1))
        equal("live: follows the history", before[0]["seq"], history[-1]["seq"] + 1)
    job.wait()
    with socketio.SimpleClient() as client:
        client.connect(args.events, auth={"since": before[-1]["seq"]}, transports=["websocket"])
        greeted(client)
        # No history: what was missed comes as events.
        missed = (packet(client, "event") for _ in itertools.count())
        after = ended(job, in_order(missed, before[-1]["seq"] + 1))
        asked(client)
    nothing_missed(job, before, after)


if __name__ == "__main__":
    main()
