"""Puts package versions into RPM's own order, by librpm.

Request, JSON on standard input: {"versions": [`[epoch:]version-release`]}; no epoch is epoch 0.
Answer: {"ranks": [number]}, one for each: the lower the older; versions that are the same to RPM have the same.
"""

import functools
import json
import os
import sys

import rpm

sys.dont_write_bytecode = True
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from limits import limit

limit()


def parts(text):
    epoch, _, rest = text.rpartition(":")
    version, _, release = rest.rpartition("-")
    return epoch or "0", version, release


versions = json.load(sys.stdin)["versions"]
ranks, rank, former = {}, 0, None
for one in sorted(set(map(parts, versions)), key=functools.cmp_to_key(rpm.labelCompare)):
    rank += former is not None and rpm.labelCompare(former, one) != 0
    ranks[one] = rank
    former = one
json.dump({"ranks": [ranks[parts(one)] for one in versions]}, sys.stdout)
