"""Depsolves or downloads packages with dnf's API: one process, its request as JSON on standard input.

Request: action (resolve | plan | download | sources | versions), cachedir, persistdir, releasever, arch, repos [{id, baseurl, gpgKeys,
metadataSigned}]; for `resolve` packages [spec of dnf: also `@group`], recommends (are weak dependencies installed?), exclude [spec],
limit {name: evra} (no other version counts); for `plan` database (folder of the RPM database to begin from), released {name: evra}
(what its packages count as), fixes [{name, evr, exact}], given (repo whose packages are fixes too, or null), exclude [spec]; for
`download` wanted [{name, evra, digest, repo}], out; for `sources` srpms [file name], makes {binary package: its source RPM's file
name}; for `versions` names [package].
Answer: one JSON object as the last line of standard output: {"packages": …, "repos": …}, {"packages": …, "gone": [name], "fixes":
[name], "repos": …}, {"downloaded": …}, {"sources": …}, {"versions": {name: [evra]}} or {"failure": code, "message": …, "details": […]}.
Lines before it that start with `progress ` tell done and total.
"""
import functools
import hashlib
import json
import os
import re
import shutil
import sys

import dnf.callback
import dnf.exceptions
import dnf.subject
import hawkey
import rpm

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../rpm"))
from dnf_base import Refused, base_of, load_repos
from limits import limit

# The metadata of a large repo with its file lists is some 2 GiB unpacked.
limit(memory=4 << 30, file=4 << 30, seconds=600)

# What names, versions and paths of packages are made of; they become file names here and elsewhere.
NAME = re.compile(r"[A-Za-z0-9_][\w.+-]{0,199}", re.ASCII)
EVRA = re.compile(r"(\d{1,10}:)?[\w.+~^]{1,99}-[\w.+~^]{1,99}\.\w{1,20}", re.ASCII)
SRPM = re.compile(r"[A-Za-z0-9_][\w.+~^-]{0,199}\.(no)?src\.rpm", re.ASCII)
PATH = re.compile(r"(?!(.*/)?\.\.?/)([^/\x00-\x1f]+/)*[^/\x00-\x1f]+\.rpm")


def load(base, refresh=True, installed=False):
    load_repos(base, refresh)
    try:
        base.fill_sack(load_system_repo=installed)
    except (dnf.exceptions.Error, hawkey.Exception) as error:
        raise Refused("MetadataRefused", f"the repos' metadata cannot be read: {error}", str(error).split("\n"))


def checked(packages):
    """The packages, none of which has a name, version or path that leads out of the folder where it is put or out of its repo."""
    for package in packages:
        source = package.sourcerpm
        fields = {"name": (NAME, package.name), "version": (EVRA, evra_of(package)), "path": (PATH, package.location)}
        if source:
            fields["source package"] = (SRPM, source)
        for field, (pattern, value) in fields.items():
            if not pattern.fullmatch(value or ""):
                raise unusable(package, f"no package has the {field} {shown(value)}")
        if package.baseurl:
            raise unusable(package, f"{package.name} is at another place: {shown(package.baseurl)}")
    return packages


def unusable(package, why):
    return Refused("MetadataRefused", f"repo {package.repoid}: its metadata was not used: {why}")


def shown(value):
    return json.dumps((value or "")[:100].encode("utf-8", "replace").decode())


def digest_of(package):
    kind, value = package.returnIdSum() or ("", "")
    if kind != "sha256":
        raise Refused("StreamInvalid", f"repo {package.repoid} has {kind} digests; it must have sha256 (createrepo_c's default)")
    return "sha256:" + value


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def evra_of(package):
    return ("" if package.epoch == 0 else f"{package.epoch}:") + f"{package.version}-{package.release}.{package.arch}"


def resolve(request):
    base = base_of(request)
    base.conf.excludepkgs = request["exclude"]
    load(base)
    base.conf.install_weak_deps = request["recommends"]
    for name, evra in request.get("limit", {}).items():
        same = base.sack.query().filter(name=name)
        others = [package for package in same if evra_of(package) != evra]
        if others:
            base.sack.add_excludes(same.filter(pkg=others))
    try:
        base.install_specs(request["packages"])
    except dnf.exceptions.MarkingErrors as error:
        raise not_found(base, error)
    try:
        base.resolve()
    except dnf.exceptions.DepsolveError:
        raise unsolvable("the packages cannot be installed together", base.goal)
    return {"packages": locked(base.goal.list_installs()), "repos": repos_of(base)}


def not_found(base, error):
    """Names everything that dnf did not find, and says of packages that the repos have why they do not count."""
    names = [*error.no_match_pkg_specs, *error.error_pkg_specs]
    everything = base.sack.query(flags=hawkey.IGNORE_EXCLUDES)
    hidden = [name for name in names if dnf.subject.Subject(name).get_best_solution(base.sack, query=everything, with_src=False)["query"]]
    missing = [name for name in names if name not in hidden]
    missing += ["@" + name.lstrip("@") for name in [*error.no_match_group_specs, *error.error_group_specs]]
    reasons = []
    if hidden:
        reasons.append(f"excluded by `exclude-packages`, or of a module stream that is not the default: {', '.join(hidden)}")
    if missing:
        reasons.append(f"in none of the repos ({', '.join(r.id for r in base.repos.iter_enabled())}): {', '.join(missing)}")
    return Refused("PackageNotFound", "; ".join(reasons) or str(error), [*hidden, *missing])


def unsolvable(what, goal):
    problems = [line for rules in goal.problem_rules() for line in rules]
    return Refused("DepsolveFailed", f"{what}: " + "; ".join(problems[:5]), problems)


def locked(packages):
    """By name, as rpm-ostree's lockfile has it: it cannot say that a tree has two packages of one name."""
    by_name = {}
    for package in sorted(checked(packages)):
        by_name.setdefault(package.name, []).append(package)
    twice = [" and ".join(f"{name}-{evra_of(package)}" for package in same) for name, same in by_name.items() if len(same) > 1]
    if twice:
        raise Refused("DepsolveFailed", f"a tree has one package of a name, but these would be installed: {'; '.join(twice)}. "
                      "Ask for one of them, or name the other in `exclude-packages`.", twice)
    return {
        name: {
            "evra": evra_of(package), "digest": digest_of(package),
            **({"sourcerpm": package.sourcerpm} if package.sourcerpm else {}), "repo": package.repoid,
        }
        for name, [package] in by_name.items()
    }


def repos_of(base):
    repos = {}
    for repo in base.repos.iter_enabled():
        repos[repo.id] = {
            "timestamp": repo._repo.getMaxTimestamp(),
            "repomd": sha256(os.path.join(repo._repo.getCachedir(), "repodata", "repomd.xml")),
        }
    return repos


def plan(request):
    """The fixes, and what they strictly need, as changes of a tree: libsolv takes its packages as installed, and keeps what it can."""
    database = request["persistdir"] + rpm.expandMacro("%{_dbpath}")
    shutil.rmtree(database, ignore_errors=True)
    shutil.copytree(request["database"], database)
    base = base_of(request)
    base.conf.excludepkgs = request["exclude"]
    base.conf.installonlypkgs = []  # A tree has one kernel.
    load(base, installed=True)
    installed = {package.name: package for package in base.sack.query().installed()}
    odd = sorted(name for name, evra in request["released"].items() if name not in installed)
    odd += sorted(name for name in installed if name not in request["released"] and name != "gpg-pubkey")
    if odd:
        raise Refused("LockfileDrift", f"the released tree has not the packages of its lockfile: {', '.join(odd[:20])}", odd)
    evr_of = lambda package: evra_of(package).rpartition(".")[0]
    released = {name: evra.rpartition(".")[0] for name, evra in request["released"].items()}
    fixes = {}
    for name, wanted in wanted_fixes(base, request, installed).items():
        same = max(wanted, key=functools.cmp_to_key(lambda a, b: a.evr_cmp(b)))
        if base.sack.evr_cmp(same.evr, released[name]) <= 0:
            raise Refused("FixNotFound", f"{name}: the release has {released[name]}, and {evr_of(same)} is no later version")
        fixes[name] = [package for package in wanted if package.evr == same.evr]
        selector = hawkey.Selector(base.sack)
        selector.set(pkg=fixes[name])
        base.goal.install(select=selector)
    if not base.goal.run(ignore_weak_deps=True, force_best=True):
        raise unsolvable("the fixes cannot be installed in the released tree", base.goal)
    goal = base.goal
    changed = goal.list_installs() + goal.list_upgrades() + goal.list_downgrades() + goal.list_reinstalls()
    older = [f"{p.name} {evr_of(p)}" for p in changed if p.name in released and base.sack.evr_cmp(p.evr, released[p.name]) < 0]
    if older:
        raise Refused("DepsolveFailed", f"the fixes need older versions than are released: {', '.join(older)}", older)
    names = {package.name for package in changed}
    gone = sorted({package.name for package in goal.list_obsoleted() + goal.list_erasures()} - names)
    return {"packages": locked(changed), "gone": gone, "fixes": sorted(fixes), "repos": repos_of(base)}


def wanted_fixes(base, request, installed):
    """By name: the packages that would do."""
    wanted = {}
    available = base.sack.query().available()
    given = available.filter(reponame=request["given"]) if request["given"] else []
    for package in given:
        if package.name in installed:
            wanted.setdefault(package.name, []).append(package)
    for fix in request["fixes"]:
        name, evr, exact = fix["name"], fix["evr"], fix["exact"]
        if name not in installed:
            raise Refused("FixNotFound", f"{name}: is not in the release")
        if name in wanted:
            continue
        old = installed[name]
        arches = {old.arch, "noarch"} if old.arch != "noarch" else {"noarch", *base.sack.list_arches()}
        same = [package for package in available.filter(name=name) if package.arch in arches]
        compared = [(base.sack.evr_cmp(package.evr, evr), package) for package in same]
        wanted[name] = [package for order, package in compared if order == 0 or order > 0 and not exact]
        if not wanted[name]:
            there = ", ".join(sorted({package.evr for package in same})) or "none"
            raise Refused("FixNotFound", f"{name}: no repo has {evr}{'' if exact else ' or later'} (there are: {there})")
    return wanted


def sources(request):
    """The source packages that the repos have, and which of the others each needs to be built."""
    base = base_of(request)
    load(base)
    file_of = lambda package: f"{package.name}-{package.version}-{package.release}.src.rpm"
    found = {file_of(package): package for package in base.sack.query().filter(arch="src")}
    answer = {}
    for srpm in request["srpms"]:
        package = found.get(srpm)
        if package is None:
            continue
        checked([package])
        needed = {request["makes"].get(str(requirement).split()[0]) for requirement in package.requires}
        answer[srpm] = {
            "name": package.name, "evra": evra_of(package), "digest": digest_of(package), "repo": package.repoid,
            "needs": sorted(needed - {None, srpm}),
        }
    return {"sources": answer}


def versions(request):
    """What the repos have of these packages; source packages are none."""
    base = base_of(request)
    load(base)
    found = {name: [] for name in request["names"]}
    for package in base.sack.query().filter(name=request["names"]):
        if package.arch not in ("src", "nosrc"):
            found[package.name].append(evra_of(package))
    return {"versions": found}


class Progress(dnf.callback.DownloadProgress):
    def start(self, total_files, total_size, total_drpms=0):
        self.total, self.count = total_files, 0

    def end(self, payload, status, message):
        self.count += 1
        print("progress", self.count, self.total, flush=True)


def download(request):
    """Puts each wanted package into `out` under its digest, and answers the file names."""
    out = request["out"]
    path_of = lambda one: os.path.join(out, one["digest"].split(":")[1] + ".rpm")
    absent = [one for one in request["wanted"] if not os.path.exists(path_of(one))]
    if absent:
        fetch(request, absent, path_of)
    downloaded = {}
    for number, one in enumerate(request["wanted"], 1):
        path = path_of(one)
        if "sha256:" + sha256(path) != one["digest"]:
            os.unlink(path)
            raise Refused("PackageChecksum", f"{one['name']}-{one['evra']} is not the file that the lockfile names")
        downloaded[one["name"]] = path
        print("progress", number, len(request["wanted"]), flush=True)
    return {"downloaded": downloaded}


def fetch(request, absent, path_of):
    base = base_of(request)
    load(base, refresh=False)
    everything = base.sack.query(flags=hawkey.IGNORE_EXCLUDES)  # Also of module streams that are not the default.
    found, gone = [], []
    for one in absent:
        same = [p for p in everything.filter(name=one["name"]) if evra_of(p) == one["evra"] and one.get("repo") in (None, p.repoid)]
        exact = [p for p in same if digest_of(p) == one["digest"]]
        if exact:
            found.append((one, exact[0]))
        else:
            gone.append((one, bool(same)))
    if gone:
        names = ", ".join(f"{one['name']}-{one['evra']}" for one, _ in gone)
        raise Refused("PackageChecksum", f"no repo has the file that the lockfile names: {names}", [names])
    checked([package for _, package in found])
    remote = [package for _, package in found if not package.repo.baseurl[0].startswith("file:")]
    try:
        base.download_packages(remote, Progress())
    except dnf.exceptions.DownloadError as error:
        text = str(error)
        if "hecksum" in text:
            raise Refused("PackageChecksum", "a package that was downloaded is not the one that the metadata names", text.split("\n"))
        code = "RepoRefused" if re.search(r"Status code: (401|403|407)", text) else "RepoUnreachable"
        cause = re.search(r"(?:Status code|Curl error).*", text)
        raise Refused(code, f"packages cannot be downloaded{': ' + cause[0] if cause else ''}", text.split("\n"))
    for one, package in found:
        part = path_of(one) + ".part"
        shutil.copyfile(package.localPkg(), part)
        os.replace(part, path_of(one))
        if package in remote:
            os.unlink(package.localPkg())


def main():
    request = json.load(sys.stdin)
    try:
        actions = {"resolve": resolve, "plan": plan, "download": download, "sources": sources, "versions": versions}
        answer = actions[request["action"]](request)
    except Refused as refused:
        answer = refused.answer
    except dnf.exceptions.MarkingErrors as error:
        answer = {"failure": "PackageNotFound", "message": str(error), "details": []}
    except OSError as error:
        if error.errno == 28:
            answer = {"failure": "DiskFull", "message": str(error), "details": []}
        else:
            raise
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Nothing is left to do; freeing dnf's sacks takes longer than the depsolve.


main()
