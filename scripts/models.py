#!/usr/bin/env python3
"""Writes config/models.toml from the data of the crate genai-prices.

usage: scripts/models.py YYYY-MM-DD    (the day on which that version of the crate was published)

The crate is a development dependency, so `cargo metadata` knows where its data lie and Cargo.lock which version it
is. Taken over: models of the four vendors that answer chats or embed, their names, windows and prices by class,
prompt size, service tier and day. Not taken over: what is not billed by tokens, or not called by PAS (speech,
pictures, transcription), and rules that match names by a part of them: a wrong price is worse than none.
"""
import json
import re
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDORS = {"openai": "openai", "anthropic": "anthropic", "google": "gemini", "x-ai": "grok"}
CLASSES = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "output_mtok": "output",
}
TIERS = {"flex": "flex", "priority": "priority", "batch": "batch"}
OTHER_KINDS = re.compile(
    r"audio|realtime|image|tts|transcribe|live|moderation|whisper|omni-|banana|robotics|computer-use|voice"
    r"|^gemini-(pro|flash)-1|^gemini-pro$|^(ada|babbage|curie|davinci)|^text-davinci|instruct|^ft:|\.ft-|:"
)
# In the crate from elsewhere: not offered by the vendor itself.
NOT_THEIR_OWN = re.compile(r"^gpt-oss|-maas$")


def data():
    command = ["cargo", "metadata", "--format-version=1", "--locked"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    crate = next(package for package in packages if package["name"] == "genai-prices")
    text = (Path(crate["manifest_path"]).parent / "data/prices.json").read_text()
    return crate["version"], json.loads(text, parse_float=Decimal)


def number(value):
    return format(Decimal(value).normalize(), "f")


def names(model):
    """The names that a rule gives in full; dated ones are found by PAS itself."""
    rules = model["match"].get("or", [model["match"]])
    found = [rule["equals"] for rule in rules if "equals" in rule]
    begins = [rule["starts_with"] for rule in rules if "starts_with" in rule]
    found += [begin for begin in begins if begin.endswith(("-latest", "-preview")) or f"{begin}-latest" == model["id"]]
    plain = re.compile(r"^[a-z0-9][a-z0-9.-]*$")
    return sorted({name for name in found if plain.match(name) and name != model["id"]})


def rates(prices, size=None):
    """The rates of each class above a prompt of that size; None: below all sizes."""
    found = {}
    for key, name in CLASSES.items():
        price = prices.get(key)
        if isinstance(price, dict):
            tiers = [tier["price"] for tier in price["tiers"] if size is not None and tier["start"] <= size]
            price = tiers[-1] if tiers else price["base"]
        if price is not None:
            found[name] = number(price)
    if "output" not in found and "input" in found:
        found["output"] = "0"
    return found


def sizes(prices):
    return sorted({t["start"] for p in prices.values() if isinstance(p, dict) for t in p["tiers"]})


def inline(pairs):
    return "{ " + ", ".join(f"{name} = {value}" for name, value in pairs) + " }"


def above(prices):
    rows = [inline([("prompt_tokens", size), *rates(prices, size).items()]) for size in sizes(prices)]
    return f"[{', '.join(rows)}]" if rows else None


def tiers(model, base, day):
    """The variants in force on a day; a class that a variant leaves out keeps the standard rate."""
    for tier in TIERS:
        of_tier = [v for v in model.get("price_variants", []) if list(v["when"].values()) == [tier]]
        begun = [v for v in of_tier if v.get("constraint", {}).get("start_date", "") <= day]
        if not begun:
            continue
        variant = max(begun, key=lambda v: v.get("constraint", {}).get("start_date", ""))
        prices = {**base, **variant["prices"]}
        pairs = [("name", json.dumps(TIERS[tier])), *rates(prices).items()]
        if above(prices):
            pairs.append(("above", above(prices)))
        yield inline(pairs)


def periods(model):
    """Each price with its first and its last day."""
    prices = model["prices"]
    if isinstance(prices, dict):
        return [(None, None, prices)]
    begins = [(row.get("constraint", {}).get("start_date"), row["prices"]) for row in prices]
    begins.sort(key=lambda row: row[0] or "")
    ends = [start for start, _ in begins[1:]] + [None]
    return [(start, end, prices) for (start, prices), end in zip(begins, ends)]


def rows(vendor, model, published):
    for start, end, prices in periods(model):
        if end is not None and end <= published:
            continue
        lines = ["[[price]]", f'provider = "{vendor}"', f'model = "{model["id"]}"']
        if names(model):
            lines.append(f"aliases = {json.dumps(names(model))}")
        if model.get("context_window"):
            lines.append(f"window = {model['context_window']:_}")
        if model.get("deprecated"):
            lines.append("retired = true")
        if start and start > published:
            lines.append(f"valid_from = {start}")
        if end:
            lines.append(f"valid_to = {date.fromisoformat(end) - timedelta(days=1)}")
        found = rates(prices)
        if found:
            lines += [f"{name} = {value}" for name, value in found.items()]
        else:
            lines.append("free = true")
        if "web_searches_kcount" in prices:
            lines.append(f"search = {number(prices['web_searches_kcount'])}")
        if above(prices):
            lines.append(f"above = {above(prices)}")
        day = max(start or "", published)
        found = list(tiers(model, prices, day))
        if found:
            lines += ["tier = [", *[f"    {row}," for row in found], "]"]
        yield "\n".join(lines)


def is_called(vendor, model):
    if vendor == "gemini" and model["id"].startswith("claude"):
        return False
    if vendor == "grok" and "voice" in model["id"]:
        return False
    if OTHER_KINDS.search(model["id"]) or NOT_THEIR_OWN.search(model["id"]):
        return False
    by_token = all(not key.endswith(("hours", "mchars")) for row in periods(model) for key in row[2])
    return by_token


def main():
    published = sys.argv[1]
    version, providers = data()
    licence = "MIT, Copyright (c) Pydantic Services Inc. 2025 to present; see config/models.LICENSE"
    out = [
        "# Prices of the vendors' models, kept by others: the data of the crate genai-prices, converted by",
        "# scripts/models.py. Do not edit; corrections stand in config/prices.toml, which goes before this file and",
        "# documents its form.",
        "",
        "[source]",
        'name = "genai-prices"',
        f'version = "{version}"',
        f"date = {published}",
        f'licence = "{licence}"',
    ]
    for provider in providers:
        vendor = VENDORS.get(provider["id"])
        for model in provider["models"] if vendor else []:
            if is_called(vendor, model):
                out += ["", *"\n\n".join(rows(vendor, model, published)).split("\n")]
    (ROOT / "config/models.toml").write_text("\n".join(out) + "\n")


main()
