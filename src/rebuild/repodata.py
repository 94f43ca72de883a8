"""Lists packages of the build system's repo of results, with dnf's API (librepo fetches and checks, libsolv parses).

Request, JSON on standard input: cachedir, persistdir (empty folders), releasever, arch, repos [one {id, baseurl, gpgKeys,
metadataSigned}], names [package names].
Answer: one JSON object as the last line of standard output: {"packages": [{name, evra, digest (type:hex), location}]} or
{"failure": message}. A package that was built several times is there several times.
"""

import json
import os
import sys

import dnf.exceptions
import hawkey

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rpm"))
from dnf_base import base_of
from limits import limit

limit()


def packages(request):
    base = base_of(request)
    for repo in base.repos.iter_enabled():
        repo.load()
    base.fill_sack(load_system_repo=False)
    for package in base.sack.query(flags=hawkey.IGNORE_EXCLUDES).filter(name=request["names"]):
        kind, digest = package.returnIdSum()
        epoch = f"{package.epoch}:" if package.epoch else ""
        evra = f"{epoch}{package.version}-{package.release}.{package.arch}"
        yield {"name": package.name, "evra": evra, "digest": f"{kind}:{digest}", "location": package.location}


def main():
    request = json.load(sys.stdin)
    try:
        answer = {"packages": list(packages(request))}
    except (dnf.exceptions.Error, hawkey.Exception, OSError, MemoryError, ValueError) as error:
        answer = {"failure": (str(error) or type(error).__name__)[:1000]}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Nothing is left to do; freeing dnf's sacks takes longer than all before.


main()
