"""What the client scripts share: arguments, and checks that end the script when one fails.

Each check prints one line; the first that fails is the last line, and the exit code is 1.
"""

import argparse
import json
import sys

# The test servers' model repeats what the user said (tests/it/vendor/model.rs).
PROMPT = "Name three rivers, please: Elbe, Oder and Weser"
ANSWER = "You said: " + PROMPT


def arguments(description: str, **extra: str) -> argparse.Namespace:
    """Parses `--base-url`, `--model`, `--run-id`, `--key` and further ones with their help."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--base-url", required=True, help="what the client is pointed at")
    parser.add_argument("--model", required=True, help="the model to ask")
    parser.add_argument("--run-id", default="clients", help="sent as x-pas-run-id")
    parser.add_argument("--key", default="any", help="the credential the client sends")
    for name, help_text in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), help=help_text)
    return parser.parse_args()


def check(name: str, holds: bool, seen: object = "") -> None:
    """Prints the check; ends the script if it does not hold."""
    print(f"{'ok' if holds else 'FAILED'}: {name}" + ("" if holds else f": {seen!r}"), flush=True)
    if not holds:
        sys.exit(1)


def must(name: str, holds: bool, seen: object = "") -> None:
    """A check of many a time: prints only when it does not hold."""
    if not holds:
        check(name, False, seen)


def equal(name: str, seen: object, wanted: object) -> None:
    """A check that two values are the same."""
    check(name, seen == wanted, {"seen": seen, "wanted": wanted})


def schema() -> dict:
    """The parameters of the tools on offer."""
    return {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }


def called(name: str, arguments: object) -> None:
    """Checks the arguments of a call: what the test servers' model makes of `schema`."""
    seen = json.loads(arguments) if isinstance(arguments, str) else arguments
    equal(name, seen, {"city": "city", "days": 7})
