"""Says what has changed in a tree since this program looked at it last.

usage: changes.py TREE STATE
STATE is a file that is kept between two looks; without it the answer is empty. Answer: {"removed": [path], "changed": [path]},
absolute paths as of the tree. Content counts as changed when the inode's change time has moved: no program can set that back.
"""

import json
import os
import stat
import sys

tree, state = sys.argv[1:]


def entries(folder, path):
    with os.scandir(folder) as found:
        for entry in found:
            name = f"{path}/{entry.name}"
            info = entry.stat(follow_symlinks=False)
            facts = [info.st_mode, info.st_uid, info.st_gid]
            if stat.S_ISDIR(info.st_mode):
                yield from entries(entry.path, name)
            else:
                facts += [info.st_ino, info.st_size, info.st_ctime_ns]
            yield name, facts


now = dict(entries(tree, ""))
try:
    with open(state, encoding="utf-8") as file:
        before = json.load(file)
except FileNotFoundError:
    before = now
with open(f"{state}.new", "w", encoding="utf-8") as file:
    json.dump(now, file)
os.rename(f"{state}.new", state)
removed = sorted(before.keys() - now.keys())
changed = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
json.dump({"removed": removed, "changed": changed}, sys.stdout)
