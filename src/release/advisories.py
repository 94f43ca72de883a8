"""Lists the advisories of package repos that packages got fixed by, with dnf's API (librepo fetches and verifies, libsolv parses).

Request, JSON on standard input: cachedir, persistdir (empty folders), releasever, arch, repos [{id, baseurl, gpgKeys, metadataSigned}],
packages [{name, arch, old, new}] ([epoch:]version-release).
Answer: one JSON object as the last line of standard output: {"advisories": [{id, title, type, severity, references [{id,
href}], packages [name]}]} or {"failure": message}. An advisory fixes a package whose old version is below the one that it
names and whose new version is not; some version of the package must still be in the repo.
"""

import json
import os
import re
import sys

import dnf.exceptions
import hawkey
import rpm

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rpm"))
from dnf_base import base_of
from limits import limit

limit()

TYPES = {
    hawkey.ADVISORY_SECURITY: "security",
    hawkey.ADVISORY_BUGFIX: "bugfix",
    hawkey.ADVISORY_ENHANCEMENT: "enhancement",
    hawkey.ADVISORY_NEWPACKAGE: "newpackage",
}
ADVISORIES, REFERENCES, TEXT, URL = 2000, 100, 300, 500


def load(request):
    base = base_of(request)
    for repo in base.repos.iter_enabled():
        repo.load()
    base.fill_sack(load_system_repo=False)
    return base.sack


def broken(logdir):
    """libsolv goes on without advisories that it cannot parse; it tells so in libdnf's log only."""
    with open(os.path.join(logdir, "hawkey.log"), errors="replace") as log:
        found = re.search(r"repo_updateinfoxml: (.*)", log.read(1 << 16))
        return found and found[1]


def evr(text):
    epoch, _, rest = text.rpartition(":")
    version, _, release = rest.rpartition("-")
    return epoch or "0", version, release


def fixed(one, evr_of_fix):
    fix = evr(evr_of_fix)
    return rpm.labelCompare(evr(one["old"]), fix) < 0 <= rpm.labelCompare(evr(one["new"]), fix)


def bounded(text, limit=TEXT):
    return (text or "").encode("utf-8", "replace").decode()[:limit]


def references(advisory):
    known = {}
    for reference in advisory.references:
        # An address that was cut would lead elsewhere.
        href = bounded(reference.url, URL + 1)
        if reference.id and len(known) < REFERENCES:
            known.setdefault(bounded(reference.id), {"href": href} if re.match(r"https?://", href) and len(href) <= URL else {})
    return [{"id": id, **rest} for id, rest in known.items()]


def advisories(request):
    changed = {(one["name"], one["arch"]): one for one in request["packages"]}
    sack = load(request)
    problem = broken(request["persistdir"])
    if problem:
        return {"failure": f"its updateinfo is broken: {problem}"}
    query = sack.query(flags=hawkey.IGNORE_EXCLUDES).filter(name=[name for name, _ in changed])
    found = {}
    for package in query.get_advisory_pkgs(hawkey.LT | hawkey.EQ | hawkey.GT):
        one = changed.get((package.name, package.arch))
        if one is None or not fixed(one, package.evr):
            continue
        advisory = package.get_advisory(sack)
        if advisory.id not in found and len(found) < ADVISORIES:
            found[advisory.id] = {
                "id": bounded(advisory.id),
                "title": bounded(advisory.title),
                "type": TYPES.get(advisory.type, "other"),
                **({"severity": bounded(advisory.severity)} if advisory.severity not in (None, "", "None") else {}),
                "references": references(advisory),
                "packages": set(),
            }
        if advisory.id in found:
            found[advisory.id]["packages"].add(package.name)
    return {"advisories": [{**one, "packages": sorted(one["packages"])} for one in found.values()]}


def main():
    request = json.load(sys.stdin)
    try:
        answer = advisories(request)
    except (dnf.exceptions.Error, hawkey.Exception, OSError, MemoryError, ValueError) as error:
        answer = {"failure": bounded(str(error) or type(error).__name__, 1000)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Nothing is left to do; freeing dnf's sacks takes longer than all before.


main()
