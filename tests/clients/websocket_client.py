"""The plain WebSocket client `websockets` against the event stream: events, ping, coming back."""

import json
from collections.abc import Iterator

from checks import check, equal
from following import PATIENCE_S, Event, Job, arguments, begun, ended, nothing_missed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect


def follow(socket: ClientConnection) -> Iterator[Event]:
    while True:
        yield json.loads(socket.recv(timeout=PATIENCE_S))


def asked(socket: ClientConnection, last: int) -> None:
    check("protocol ping: answered", socket.ping().wait(PATIENCE_S))
    socket.send("ping")
    answer = next(message for message in follow(socket) if "type" in message)
    equal("text ping: answered", answer["type"], "pong")
    check("text ping: tells how far the client is", answer["last_seq"] >= last, answer)


def refused(url: str) -> None:
    try:
        connect(url, origin="http://evil.test").close()
    except InvalidStatus as error:
        equal("a page of a stranger: refused", error.response.status_code, 403)
    else:
        check("a page of a stranger: refused", False)


def main() -> None:
    args = arguments(__doc__)
    url = args.events.replace("http://", "ws://") + "/ws"
    with connect(url) as socket:
        job = Job(args.orchestrator, args.source)
        before = begun(job, follow(socket))
    job.wait()
    with connect(f"{url}?since={before[-1]['seq']}") as socket:
        after = ended(job, follow(socket))
        asked(socket, after[-1]["seq"])
    nothing_missed(job, before, after)
    with connect(f"{url}?since=0") as socket:
        equal("since 0: from the first event", next(follow(socket))["seq"], 1)
    refused(url)


if __name__ == "__main__":
    main()
