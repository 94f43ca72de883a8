"""Lists the RPMs that a repo's metadata has in certain folders, with dnf's API (librepo fetches and verifies, libsolv parses).

Request, JSON on standard input: cachedir, persistdir (empty folders), releasever, arch, repos [one: {id, baseurl, gpgKeys,
metadataSigned}], folders (locations below the repo, each with a `/` at its end).
Answer: one JSON object as the last line of standard output: {"packages": [{name, evr, arch, folder, file, digest, size}]} or
{"failure": message}. `digest` is `<type>:<hex>`; source packages and files of further folders are left out.
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

CHECKSUMS = {hawkey.CHKSUM_SHA256: "sha256", hawkey.CHKSUM_SHA512: "sha512", hawkey.CHKSUM_SHA1: "sha1"}
PACKAGES = 5000


def bounded(text, most=300):
    return text.encode("utf-8", "replace").decode()[:most]


def listed(request):
    base = base_of(request)
    for repo in base.repos.iter_enabled():
        repo.load()
    base.fill_sack(load_system_repo=False)
    folders = set(request["folders"])
    found = []
    for package in base.sack.query(flags=hawkey.IGNORE_EXCLUDES):
        folder, _, file = (package.location or "").rpartition("/")
        if folder + "/" not in folders or package.arch in ("src", "nosrc"):
            continue
        if len(found) == PACKAGES:
            return {"failure": f"more than {PACKAGES} packages"}
        kind, checksum = package.chksum or (None, b"")
        found.append(
            {
                "name": bounded(package.name),
                "evr": bounded(package.evr),
                "arch": bounded(package.arch),
                "folder": folder + "/",
                "file": bounded(file),
                "digest": f"{CHECKSUMS.get(kind, 'other')}:{checksum.hex()}",
                "size": package.downloadsize,
            }
        )
    return {"packages": found}


def main():
    request = json.load(sys.stdin)
    try:
        answer = listed(request)
    except (dnf.exceptions.Error, hawkey.Exception, OSError, MemoryError, ValueError) as error:
        answer = {"failure": bounded(str(error) or type(error).__name__, 1000)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Nothing is left to do; freeing dnf's sacks takes longer than all before.


main()
