"""A dnf base that knows nothing of the machine it runs on: its repos, keys and folders are the request's.

Imported by the programs that depsolve, download and read advisories. They are run with `python3 -I`, which leaves their own
folders out of `sys.path`: they add this one.
"""
import os

import dnf
import dnf.repo


def base_of(request):
    """Request: cachedir, persistdir (also for logs; empty), releasever, arch, repos [{id, baseurl, gpgKeys, metadataSigned}]."""
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
    conf.module_platform_id = ""
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
        repo.skip_if_unavailable = False
        repo.deltarpm = False
        repo.enable()
        base.repos.add(repo)
    return base
