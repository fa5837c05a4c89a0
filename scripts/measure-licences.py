#!/usr/bin/env python3
"""Measures the licence audit on the copyright files of this machine's Debian packages.

Usage: measure-licences.py PAS [FOLDER]

PAS is the binary, FOLDER the place of the packages' documents (/usr/share/doc). The truth is the copyright
files in Debian's machine-readable format: their `License` fields, whose names Debian defines. Two questions
are asked. `fields`: the whole file is given; are its licences found? `texts`: only the texts under the fields
are given, one file each, with the name removed; is the licence recognised by its words? Files and texts whose
names are outside the table below (a package's own names) are left out of both. Prints recall and precision,
and the commonest misses.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# Away from the ports of a daemon that may be up.
PORT_OFFSET = "7000"

# Short names of the copyright format 1.0, and spellings of them that are as clear.
PLAIN = {
    "apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0", "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
    "bsl-1.0": "BSL-1.0", "cc0-1.0": "CC0-1.0", "cc0": "CC0-1.0", "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "curl": "curl", "expat": "MIT", "mit": "MIT", "isc": "ISC", "ftl": "FTL", "fsfap": "FSFAP",
    "fsful": "FSFUL", "fsfullr": "FSFULLR", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "ms-pl": "MS-PL",
    "ofl-1.1": "OFL-1.1", "openldap-2.8": "OLDAP-2.8", "afl-2.1": "AFL-2.1", "zlib": "Zlib",
    "epl-1.0": "EPL-1.0", "epl-2.0": "EPL-2.0", "unicode-dfs-2016": "Unicode-DFS-2016",
    "bsd-4-clause-uc": "BSD-4-Clause-UC", "postgresql": "PostgreSQL", "w3c": "W3C", "ntp": "NTP",
    "artistic": "Artistic-1.0-Perl", "artistic-1": "Artistic-1.0-Perl", "libpng": "Libpng", "x11": "X11",
    "unlicense": "Unlicense", "0bsd": "0BSD", "wtfpl": "WTFPL", "mit-0": "MIT-0",
}
GNU = re.compile(r"(a?l?gpl)(?:-(\d(?:\.\d)?))?(\+)?$")
GFDL = re.compile(r"gfdl(-niv)?-(1\.\d)(\+)?$")


def identifiers(name):
    """The identifiers of one field, or None when a part of it is a package's own name."""
    found = set()
    for part in re.split(r",?\s+(?:and|or)\s+|,\s*|\s*\|\s*", name.strip()):
        part = re.sub(r"\s+with\s+.*", "", part.strip("() "), flags=re.I).lower()
        gnu, gfdl = GNU.match(part), GFDL.match(part)
        if part in PLAIN:
            found.add(PLAIN[part])
        elif gnu:
            stem, version, later = gnu.groups()
            later = later or version is None
            version = version or {"gpl": "1", "lgpl": "2", "agpl": "3"}[stem]
            version = version if "." in version else version + ".0"
            found.add(f"{stem.upper()}-{version}-{'or-later' if later else 'only'}")
        elif gfdl:
            niv, version, later = gfdl.groups()
            found.add(f"GFDL-{version}{'-no-invariants' if niv else ''}-{'or-later' if later else 'only'}")
        else:
            return None
    return found


def fields(text):
    """Names and texts of the licence fields."""
    rows, is_open = [], False
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.lower() == "license":
            rows.append([value.strip(), []])
            is_open = True
        elif line[:1] in (" ", "\t"):
            if is_open:
                rows[-1][1].append(line[1:] if line.strip() != "." else "")
        else:
            is_open = False
    return [(name, "\n".join(lines)) for name, lines in rows]


def audit(pas, folder, workdir):
    run = subprocess.run(
        [pas, "run", "ingest", str(folder), "--workdir", str(workdir), "--port-offset", PORT_OFFSET,
         "--json"],
        capture_output=True, text=True, check=False,
    )
    tables = sorted(pathlib.Path(workdir).rglob("audit/documents.jsonl"))
    if not tables:
        sys.exit(f"no audit came of it: {run.stderr.strip() or run.stdout.strip()}")
    return [json.loads(line) for line in tables[-1].read_text().splitlines()]


def single(expressions):
    words = re.split(r"\s+(?:AND|OR)\s+", " AND ".join(expressions).replace("(", "").replace(")", ""))
    return {re.sub(r"\s+WITH\s+.*", "", word) for word in words if word}


def score(title, truth, rows):
    right = wanted = given = none = 0
    missed, false = collections.Counter(), collections.Counter()
    for row in rows:
        expected = truth[row["path"]]
        found = single([hit["spdx"] for hit in row["licences"]])
        right += len(expected & found)
        wanted += len(expected)
        given += len(found)
        none += not found
        missed.update(expected - found)
        false.update(found - expected)
    print(f"{title}: {len(rows)} files, recall {right / max(wanted, 1):.3f}, precision {right / max(given, 1):.3f}, "
          f"without any licence {none}")
    print("  missed:", ", ".join(f"{name} {count}" for name, count in missed.most_common(12)) or "none")
    print("  false:", ", ".join(f"{name} {count}" for name, count in false.most_common(12)) or "none")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    pas, folder = sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else "/usr/share/doc")
    truth = {"fields": {}, "texts": {}}
    seen = set()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        for question in truth:
            (place / question).mkdir()
        for path in sorted(folder.glob("*/copyright")):
            text = path.read_text(errors="replace")
            if not text.startswith("Format:") or path.is_symlink() or text in seen:
                continue
            seen.add(text)
            rows = fields(text)
            known = [identifiers(name) for name, _ in rows]
            if known and all(known):
                name = f"{path.parent.name}.copyright"
                (place / "fields" / name).write_text(text)
                truth["fields"][name] = set().union(*known)
            for number, ((_, body), ids) in enumerate(zip(rows, known)):
                if ids and len(body) > 100 and body not in seen:
                    seen.add(body)
                    name = f"{path.parent.name}-{number}.txt"
                    (place / "texts" / name).write_text(body)
                    truth["texts"][name] = ids
        if not any(truth.values()):
            sys.exit(f"no copyright file in {folder} is in the machine-readable format with known names")
        for question, expected in truth.items():
            if not expected:
                print(f"{question}: nothing to ask")
                continue
            score(question, expected, audit(pas, place / question, place / f"work-{question}"))


main()
