"""Reads, for packages that changed, the changelog entries that the former package did not have yet.

usage: changelogs.py NEW_DBPATH OLD_DBPATH < [[name, new evr, old evr], …]
Answers {name: [{time, author, text}, …]}, newest first, as JSON. All of it is the packagers' text: bounded, not trusted.
"""

import datetime
import json
import sys

import rpm

# Entries per package; characters of an author, of an entry, and of all together.
ENTRIES, AUTHOR, TEXT, ALL = 20, 200, 2000, 2_000_000


def evr(header):
    return (f"{header['epoch']}:" if header["epoch"] else "") + f"{header['version']}-{header['release']}"


def entries(dbpath, versions):
    """By name, the changelog of the package of that version."""
    rpm.addMacro("_dbpath", dbpath)
    try:
        transaction = rpm.TransactionSet()
        return {
            name: list(zip(header["changelogtime"], header["changelogname"], header["changelogtext"]))
            for name, version in versions.items()
            for header in transaction.dbMatch("name", name)
            if evr(header) == version
        }
    finally:
        rpm.delMacro("_dbpath")


def newer(new, old):
    """Entries carry days, not times: those of the former package's last day count unless it had them."""
    known = set(old)
    last = max((time for time, *_ in old), default=0)
    found = [entry for entry in new if entry[0] >= last and entry not in known]
    return sorted(found, key=lambda entry: -entry[0])[:ENTRIES]


def bounded(text, limit):
    # Bytes that are no UTF-8 come as lone surrogates, which are no text.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def day(time):
    return datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    changed = json.load(sys.stdin)
    new = entries(sys.argv[1], {name: version for name, version, _ in changed})
    old = entries(sys.argv[2], {name: version for name, _, version in changed})
    answer, left = {}, ALL
    for name, *_ in changed:
        answer[name] = []
        for time, author, text in newer(new.get(name, []), old.get(name, [])):
            entry = {"time": day(time), "author": bounded(author, AUTHOR), "text": bounded(text, TEXT)}
            left -= len(entry["author"]) + len(entry["text"])
            if left > 0:
                answer[name].append(entry)
    json.dump(answer, sys.stdout)


main()
