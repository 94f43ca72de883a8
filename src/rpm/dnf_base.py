"""A dnf base that knows nothing of the machine it runs on: its repos, keys and folders are the request's.

Imported by the programs that depsolve, download and read advisories. They are run with `python3 -I`, which leaves their own
folders out of `sys.path`: they add this one.
"""
import logging
import os
import re
import sys

import dnf
import dnf.exceptions
import dnf.repo


def base_of(request):
    """Request: cachedir, persistdir (also for logs; empty), releasever, arch, repos [{id, baseurl, gpgKeys, metadataSigned} with or without
    priority, cost and credentials {username, passwordFile}]."""
    base = dnf.Base()
    conf = base.conf
    conf.config_file_path = os.devnull
    conf.reposdir = conf.varsdir = conf.pluginpath = []
    conf.plugins = False
    conf.installroot = request["persistdir"]  # Empty: nothing that is installed counts.
    conf.cachedir = request["cachedir"]
    conf.persistdir = request["persistdir"]
    conf.logdir = request["persistdir"]
    conf.system_cachedir = request["cachedir"]
    conf.substitutions.update(releasever=request["releasever"], arch=request["arch"], basearch=request["arch"])
    conf.gpgcheck = True
    conf.assumeyes = True  # Keys come from the request alone.
    conf.install_weak_deps = False
    conf.best = True
    conf.max_parallel_downloads = 8
    conf.retries = 3
    conf.timeout = 20
    conf.metadata_expire = -1
    for one in request["repos"]:
        repo = dnf.repo.Repo(one["id"], conf)
        repo.baseurl = [one["baseurl"]]
        repo.gpgcheck = True
        repo.repo_gpgcheck = one["metadataSigned"]
        repo.gpgkey = ["file://" + path for path in one["gpgKeys"]]
        if one.get("credentials"):
            repo.username = one["credentials"]["username"]
            with open(one["credentials"]["passwordFile"], encoding="utf-8") as file:
                repo.password = file.read().removesuffix("\n").removesuffix("\r")
        repo.priority = one.get("priority", repo.priority)
        repo.cost = one.get("cost", repo.cost)
        repo.skip_if_unavailable = False
        repo.deltarpm = False
        repo.enable()
        base.repos.add(repo)
    return base


class Refused(Exception):
    """A failure with its code in Treeline's table."""

    def __init__(self, code, message, details=()):
        super().__init__(message)
        self.answer = {"failure": code, "message": message, "details": list(details)[:40]}


class Heard(logging.Handler):
    """What dnf warns of: the only place where it says why a repo cannot be read."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        print(record.getMessage(), file=sys.stderr)
        self.lines += record.getMessage().split("\n")


def load_repos(base, refresh):
    """Loads each repo's metadata, and says of a failure whether the repo is away, refuses us or is not to be trusted."""
    heard = Heard()
    logging.getLogger("dnf").addHandler(heard)
    for repo in base.repos.iter_enabled():
        try:
            if refresh:
                # As `dnf --refresh` does: an age of zero seconds alone does not count as expired within the same second.
                repo._repo.expire()
            repo.load()
        except dnf.exceptions.RepoError as error:
            text = str(error)
            signature = re.search(r"GPG|signature|gpg", text)
            # librepo tells a missing repomd.xml.asc by its URL only.
            missing = re.search(r"repomd\.xml\.asc", text)
            if signature or missing:
                raise Refused("PackageSignature", f"repo {repo.id}: the signature of its metadata does not verify", text.split("\n"))
            failures = sorted({line.removeprefix("  - ") for line in heard.lines if line.startswith("  - ")})
            details = text.split("\n") + failures
            said = "\n".join(details)
            answered = re.search(r"Status code: (\d+)|Curl error", said)
            if re.search(r"checksum|Checksum|XML|parse", said) and not answered:
                raise Refused("RepoUnreachable", f"repo {repo.id}: its metadata is damaged or being changed", details)
            where = f"repo {repo.id} at {repo.baseurl[0]}"
            if answered and answered[1] in ("401", "403", "407"):
                raise Refused("RepoRefused", f"{where} refuses us: HTTP status {answered[1]}", details)
            raise Refused("RepoUnreachable", f"{where} does not answer: {(failures or details)[0]}", details)
