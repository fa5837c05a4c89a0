"""What the three clients of the event stream share: a job to follow, and the check that nothing was missed.

A client sees the job begin, leaves, lets the job end without it, and comes back with the last number it has
seen. What it got over both connections is compared with what the orchestrator keeps.
"""

import argparse
import itertools
import time
from collections.abc import Iterable

import httpx
from checks import check, equal, must

# Of the job's events, before the client leaves.
SEEN_BEFORE_LEAVING = 3
# For the whole job, on a busy machine.
PATIENCE_S = 90
POLL_S = 0.05

Event = dict


def arguments(description: str) -> argparse.Namespace:
    """Parses where the ports are and what to ingest."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--events", required=True, help="the event stream, such as http://127.0.0.1:6102")
    parser.add_argument("--orchestrator", required=True, help="where jobs are submitted")
    parser.add_argument("--source", required=True, help="the folder to ingest")
    return parser.parse_args()


class Job:
    """An ingest of its own for every client."""

    def __init__(self, orchestrator: str, source: str) -> None:
        self.http = httpx.Client(base_url=orchestrator, timeout=30)
        card = {"task": "ingest", "inputs": {"source": source}}
        answer = self.http.post("/jobs", json=card)
        equal("a job is accepted", answer.status_code, 202)
        self.id = answer.json()["job_id"]

    def owns(self, event: Event) -> bool:
        """Whether the event tells of this job or one below it."""
        return event["data"].get("run_id") == self.id

    def wait(self) -> None:
        """Waits until the job is done."""
        deadline = time.monotonic() + PATIENCE_S
        while (state := self.http.get(f"/jobs/{self.id}").json()["state"]) != "done":
            must("the job goes on", state in ("queued", "running"), state)
            must("the job ends in time", time.monotonic() < deadline, state)
            time.sleep(POLL_S)
        check("the job is done", True)

    def kept(self) -> list[int]:
        """The numbers that the orchestrator has given the events of this job."""
        numbers: list[int] = []
        while True:
            since = {"since": max(numbers, default=0)}
            events = self.http.get(f"/jobs/{self.id}/events", params=since).json()["events"]
            if not events:
                return numbers
            numbers += [event["seq"] for event in events]


def begun(job: Job, events: Iterable[Event]) -> list[Event]:
    """What the client sees until the job is at work."""
    seen: list[Event] = []
    for event in events:
        seen.append(event)
        if sum(map(job.owns, seen)) == SEEN_BEFORE_LEAVING:
            break
    check("live: well formed", all(event["seq"] > 0 and event["data"]["timestamp"] for event in seen), seen)
    return seen


def ended(job: Job, events: Iterable[Event]) -> list[Event]:
    """What the client sees from coming back to the end of the job."""
    seen: list[Event] = []
    last = job.kept()[-1]
    for event in events:
        seen.append(event)
        if job.owns(event) and event["data"]["seq"] == last:
            break
    return seen


def nothing_missed(job: Job, before: list[Event], after: list[Event]) -> None:
    """Every number once and in order, and every event of the job as the orchestrator keeps it."""
    numbers = [event["seq"] for event in before + after]
    gaps = [(a, b) for a, b in itertools.pairwise(numbers) if b != a + 1]
    equal("both connections: every number once, in order", gaps, [])
    told = [event["data"]["seq"] for event in before + after if job.owns(event)]
    equal("both connections: every event of the job", told, job.kept())
    check("the second connection brought some", len(after) > SEEN_BEFORE_LEAVING, after)
