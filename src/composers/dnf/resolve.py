"""Depsolves or downloads packages with dnf's API: one process, its request as JSON on standard input.

Request: action (resolve | download | sources | versions), cachedir, persistdir, releasever, arch, repos [{id, baseurl, gpgKeys,
metadataSigned}]; for `resolve` packages [spec], exclude [spec], limit {name: evra} (no other version counts); for `download`
wanted [{name, evra, digest, repo}], out; for `sources` srpms [file name], makes {binary package: its source RPM's file name};
for `versions` names [package].
Answer: one JSON object as the last line of standard output: {"packages": …, "repos": …}, {"downloaded": …}, {"sources": …},
{"versions": {name: [evra]}} or {"failure": code, "message": …, "details": […]}. Lines before it that start with `progress ` tell done and total.
"""
import hashlib
import json
import os
import shutil
import sys

import dnf.callback
import dnf.exceptions
import dnf.subject
import hawkey

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../rpm"))
from dnf_base import Refused, base_of, load_repos


def load(base, refresh=True):
    load_repos(base, refresh)
    base.fill_sack(load_system_repo=False)


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
    for name, evra in request.get("limit", {}).items():
        same = base.sack.query().filter(name=name)
        others = [package for package in same if evra_of(package) != evra]
        if others:
            base.sack.add_excludes(same.filter(pkg=others))
    missing = []
    for spec in request["packages"]:
        selector = dnf.subject.Subject(spec).get_best_selector(base.sack)
        if selector.matches():
            base.goal.install(select=selector)
        else:
            missing.append(spec)
    if missing:
        raise Refused("PackageNotFound", f"in none of the repos ({', '.join(r.id for r in base.repos.iter_enabled())}): {', '.join(missing)}", missing)
    if not base.goal.run(ignore_weak_deps=True, force_best=True):
        problems = [line for rules in base.goal.problem_rules() for line in rules]
        raise Refused("DepsolveFailed", "the packages cannot be installed together: " + "; ".join(problems[:5]), problems)
    packages = {
        package.name: {
            "evra": evra_of(package), "digest": digest_of(package),
            **({"sourcerpm": package.sourcerpm} if package.sourcerpm else {}), "repo": package.repoid,
        }
        for package in sorted(base.goal.list_installs())
    }
    repos = {}
    for repo in base.repos.iter_enabled():
        repos[repo.id] = {
            "timestamp": repo._repo.getMaxTimestamp(),
            "repomd": sha256(os.path.join(repo._repo.getCachedir(), "repodata", "repomd.xml")),
        }
    return {"packages": packages, "repos": repos}


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
    found, gone = [], []
    for one in absent:
        same = [p for p in base.sack.query().filter(name=one["name"]) if evra_of(p) == one["evra"] and one.get("repo") in (None, p.repoid)]
        exact = [p for p in same if digest_of(p) == one["digest"]]
        if exact:
            found.append((one, exact[0]))
        else:
            gone.append((one, bool(same)))
    if gone:
        names = ", ".join(f"{one['name']}-{one['evra']}" for one, _ in gone)
        raise Refused("PackageChecksum", f"no repo has the file that the lockfile names: {names}", [names])
    remote = [package for _, package in found if not package.repo.baseurl[0].startswith("file:")]
    try:
        base.download_packages(remote, Progress())
    except dnf.exceptions.DownloadError as error:
        text = str(error)
        if "hecksum" in text:
            raise Refused("PackageChecksum", "a package that was downloaded is not the one that the metadata names", text.split("\n"))
        raise Refused("RepoUnreachable", "packages cannot be downloaded", text.split("\n"))
    for one, package in found:
        part = path_of(one) + ".part"
        shutil.copyfile(package.localPkg(), part)
        os.replace(part, path_of(one))
        if package in remote:
            os.unlink(package.localPkg())


def main():
    request = json.load(sys.stdin)
    try:
        actions = {"resolve": resolve, "download": download, "sources": sources, "versions": versions}
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
