"""httpx-sse against the event stream: events, their ids, coming back by number and by header."""

from collections.abc import Iterator

import httpx
from checks import equal, must
from following import PATIENCE_S, Event, Job, arguments, begun, ended, nothing_missed
from httpx_sse import EventSource, connect_sse


def follow(source: EventSource) -> Iterator[Event]:
    for sent in source.iter_sse():
        must("sse: nothing but events", sent.event == "event", sent)
        event = sent.json()
        must("sse: the id is the number", sent.id == str(event["seq"]), sent)
        yield event


def main() -> None:
    args = arguments(__doc__)
    client = httpx.Client(timeout=PATIENCE_S)
    url = args.events + "/events"
    with connect_sse(client, "GET", url) as source:
        equal("sse: status", source.response.status_code, 200)
        equal("sse: media type", source.response.headers["content-type"].split(";")[0], "text/event-stream")
        job = Job(args.orchestrator, args.source)
        before = begun(job, follow(source))
    job.wait()
    last = before[-1]["seq"]
    with connect_sse(client, "GET", url, params={"since": last}) as source:
        after = ended(job, follow(source))
    nothing_missed(job, before, after)
    # As a browser comes back: with the header, which wins over the address it first had.
    with connect_sse(client, "GET", url, params={"since": 0}, headers={"last-event-id": str(last)}) as source:
        equal("sse: Last-Event-ID wins", next(follow(source))["seq"], last + 1)
    with connect_sse(client, "GET", url, params={"since": "soon"}) as source:
        source.response.read()
        equal("sse: a number is a number", source.response.status_code, 422)


if __name__ == "__main__":
    main()
