#!/usr/bin/env python3
"""Compare the backends of the TLC classifier on the labelled queries, on a running daemon.

Usage: scripts/measure-classifier.py [--url http://localhost:8052] [--backend embedded --backend model]

Prints for each set and backend: queries answered, share right, median and 95th percentile in ms, and
the domains by accuracy. Needs Python 3.8 and nothing else.
"""
import argparse
import collections
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
DOMAIN_SETS = ["domain_queries.jsonl", "domain_heldout.jsonl"]
TMD_SETS = ["tmd_queries.jsonl", "tmd_heldout.jsonl"]


def ask(url, body):
    """The answer and how long it took in ms; None for an answer that is an error."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        print(f"  {error.code}: {error.read().decode()[:200]}", file=sys.stderr)
        answer = None
    return answer, (time.monotonic() - began) * 1e3


def measure(url, path, name, expected, told):
    """One line for a set; `expected` and `told` give the labels of a row and of an answer."""
    rows = [json.loads(line) for line in (DATA / name).read_text().splitlines()]
    right, times, by_label = collections.Counter(), [], collections.defaultdict(collections.Counter)
    for row in rows:
        answer, took = ask(url + path, {"query": row["query"]})
        if answer is None:
            continue
        times.append(took)
        for kind, label in expected(row).items():
            hit = told(answer)[kind] == label
            right[kind] += hit
            by_label[label][hit] += 1
    if not times:
        print(f"{name} {path}: no answers")
        return
    times.sort()
    shares = ", ".join(f"{kind} {count / len(rows):.3f}" for kind, count in right.items())
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
    print(f"{name} {path}: {len(times)} of {len(rows)} answered; {shares}; "
          f"p50 {times[len(times) // 2]:.1f} ms, p95 {p95:.1f} ms")
    for label, counts in by_label.items():
        print(f"  {label:<24} {counts[True]:>3} of {sum(counts.values())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8052")
    parser.add_argument("--backend", action="append", choices=["embedded", "model", "auto"])
    options = parser.parse_args()
    for backend in options.backend or ["embedded", "model"]:
        for name in DOMAIN_SETS:
            measure(options.url, f"/classify_domain?backend={backend}", name,
                    lambda row: {"domain": row["domain"]},
                    lambda answer: {"domain": answer["primary_domain"]})
        for name in TMD_SETS:
            measure(options.url, f"/extract_tmd?backend={backend}", name,
                    lambda row: {"task": row["task"], "method": row["method"]},
                    lambda answer: answer["tmd"])


if __name__ == "__main__":
    main()
