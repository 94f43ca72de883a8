"""Compares the trees of two ostree commits, as JSON.

usage: trees.py OLD_REPO OLD_COMMIT NEW_REPO NEW_COMMIT
Answer, the last line of standard output: {"entries": [{path, old, new}]}; `old` or `new` is null for what is there once only. An
entry: type (`-`, `d`, `l`), mode, owner, xattrs, content (checksum; not of folders), link. What is equal is left out.
"""

import json
import re
import subprocess
import sys

LINE = re.compile(r"([-dl])(\d+) (\d+) (\d+) +\d+ ([0-9a-f]{64})(?: [0-9a-f]{64})? \{ (.*?) \} (/.*)")


def tree(repo, commit):
    entries = {}
    command = ["ostree", f"--repo={repo}", "ls", "--recursive", "--checksum", "--xattrs", commit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="backslashreplace") as listing:
        for line in listing.stdout:
            found = LINE.fullmatch(line.rstrip("\n"))
            if found is None:
                listing.kill()
                sys.exit(f"{commit}: a line of ostree's listing cannot be read: {line[:200]!r}")
            kind, mode, user, group, checksum, xattrs, path = found.groups()
            link = ""
            if kind == "l":
                path, _, link = path.partition(" -> ")
            # A folder's own checksum is that of its content's names.
            content = "" if kind == "d" else checksum
            entry = {"type": kind, "mode": mode, "owner": f"{user}:{group}", "xattrs": xattrs}
            entries[path] = {**entry, "content": content, "link": link}
    if listing.returncode != 0:
        sys.exit(f"{commit}: ostree ls ended with exit code {listing.returncode}")
    return entries


old, new = tree(*sys.argv[1:3]), tree(*sys.argv[3:5])
paths = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
json.dump({"entries": [{"path": path, "old": old.get(path), "new": new.get(path)} for path in paths]}, sys.stdout)
