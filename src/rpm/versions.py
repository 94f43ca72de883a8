"""Compares package versions in RPM's own order, by librpm.

Request, JSON on standard input: {"pairs": [[a, b]]}, each `[epoch:]version-release`; no epoch is epoch 0.
Answer: {"orders": [-1 | 0 | 1]}: is a below, the same as or above b?
"""

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


pairs = json.load(sys.stdin)["pairs"]
json.dump({"orders": [rpm.labelCompare(parts(a), parts(b)) for a, b in pairs]}, sys.stdout)
