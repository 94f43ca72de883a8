"""Lists the packages of an RPM database and their difference to another one, as JSON.

usage: packages.py NEW_DBPATH [OLD_DBPATH]
Differences are in rpm-ostree's shape; versions are compared by librpm itself.
"""

import json
import sys

import rpm


def packages(dbpath):
    rpm.addMacro("_dbpath", dbpath)
    try:
        headers = rpm.TransactionSet().dbMatch()
        found = {}
        for h in headers:
            if h["name"] == "gpg-pubkey":
                continue
            evr = (str(h["epoch"] or 0), h["version"], h["release"])
            # Several versions of one name (install-only packages): the newest stands for it.
            if h["name"] not in found or rpm.labelCompare(evr, found[h["name"]][0]) > 0:
                found[h["name"]] = (evr, h["arch"])
        return found
    finally:
        rpm.delMacro("_dbpath")


def nevra(name, package):
    (epoch, version, release), arch = package
    return [name, (f"{epoch}:" if epoch != "0" else "") + f"{version}-{release}", arch]


def difference(old, new):
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield [name, 0, {"NewPackage": nevra(name, new[name])}]
        elif name not in new:
            yield [name, 1, {"PreviousPackage": nevra(name, old[name])}]
        elif old[name] != new[name]:
            order = rpm.labelCompare(new[name][0], old[name][0])
            both = {"PreviousPackage": nevra(name, old[name]), "NewPackage": nevra(name, new[name])}
            yield [name, 3 if order < 0 else 2, both]


new = packages(sys.argv[1])
result = {"packages": len(new)}
if len(sys.argv) > 2:
    result["pkgdiff"] = list(difference(packages(sys.argv[2]), new))
json.dump(result, sys.stdout)
