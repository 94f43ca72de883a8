"""Reads the advisories of a package repo (`updateinfo.xml`, createrepo_c's form): dnf's API fetches and verifies, expat parses.

Request, JSON on standard input: cachedir, persistdir (for logs), releasever, arch, repos [one: {id, baseurl, gpgKeys,
metadataSigned}], names [package] (others are left out).
Answer: one JSON object as the last line of standard output: {"advisories": [{id, title, type, severity, status, cves, issued,
references [{id, href}], packages [{name, evr, arch, module}], total (of packages, of whatever names)}], "modules": {nevra: module stream}} or {"failure": code, "message": …}; `modules`
has the packages that the repo itself lists as parts of modules. The XML is read as it comes and never as a whole; what is malformed, cut off, too large or has a document type is refused, and nothing is taken from it. Texts are bounded, but only
texts: no id and no version is checked for what it may be used as.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sys
import zlib
from datetime import datetime, timezone
from xml.parsers import expat

import dnf.exceptions
import hawkey
import libdnf.error
import libdnf.module

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rpm"))
from dnf_base import Refused, base_of, load_repos
from limits import limit

limit()

UNPACKED, TOKEN, DEPTH, ANSWER = 512 << 20, 4 << 20, 32, 48 << 20
ADVISORIES, PACKAGES, REFERENCES, TEXT, URL = 50_000, 5000, 100, 300, 500
TYPES = ("security", "bugfix", "enhancement", "newpackage")


class Broken(Exception):
    pass


def bounded(text, most=TEXT):
    return (text or "").strip().encode("utf-8", "replace").decode()[:most]


def opened(repo, path):
    """The file unpacked, by its first bytes; what Python cannot unpack is left to dnf."""
    with open(path, "rb") as file:
        start = file.read(6)
    for magic, unpack in ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open)):
        if start.startswith(magic):
            return unpack(path, "rb")
    if start.startswith((b"\x28\xb5\x2f\xfd", b"\x00ZCK1")):
        content = repo.get_metadata_content("updateinfo")
        return io.BytesIO(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
    return open(path, "rb")


def time_of(text):
    """A date in one of the forms that are in use, as ISO 8601; None for another."""
    text = (text or "").strip()
    try:
        if re.fullmatch(r"\d{9,11}", text):
            moment = datetime.fromtimestamp(int(text), timezone.utc)
        else:
            moment = datetime.fromisoformat(re.sub(r" ?(UTC|Z)$", "+00:00", text))
    except (ValueError, OverflowError):
        return None
    moment = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Reader:
    """Keeps what it needs of each `update` when that ends, and forgets the rest."""

    def __init__(self, names):
        self.names, self.found, self.path, self.text, self.one = set(names), [], [], None, None
        parser = self.parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self.characters
        # Before its entities are read. Nothing of createrepo_c's has one.
        parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_):
        raise Broken("it has a document type: entities (their amplification, files and addresses) are refused")

    def start(self, name, attributes):
        self.path.append(name)
        if len(self.path) > DEPTH:
            raise Broken(f"elements within more than {DEPTH} others")
        if len(self.path) == 1 and name != "updates":
            raise Broken(f"its root is `{bounded(name, 40)}`, not `updates`")
        if self.path == ["updates", "update"]:
            self.one = {"type": attributes.get("type"), "status": attributes.get("status"), "references": {}, "cves": set(), "packages": {}, "total": 0}
        elif len(self.path) == 3 and self.one is not None:
            if name in ("id", "title", "severity"):
                self.text = []
            elif name == "issued":
                self.one["issued"] = time_of(attributes.get("date"))
        elif name == "reference" and self.path[2:3] == ["references"]:
            self.reference(attributes)
        elif name == "collection" and self.path[2:3] == ["pkglist"] and self.one is not None:
            self.module, self.collection = None, []
        elif name == "module" and self.path[2:4] == ["pkglist", "collection"]:
            self.module = bounded(f"{attributes.get('name', '')}:{attributes.get('stream', '')}")
        elif name == "package" and self.path[2:4] == ["pkglist", "collection"] and self.one is not None:
            self.one["total"] += 1
            if attributes.get("name") in self.names:
                self.package(attributes)

    def end(self, name):
        self.path.pop()
        if self.text is not None and len(self.path) == 2:
            self.one[name], self.text = "".join(self.text), None
        elif name == "collection" and self.path[2:] == ["pkglist"] and self.one is not None:
            # Whatever the order in which it names its module and its packages.
            self.one["packages"].update({(*package, self.module): None for package in self.collection})
        elif len(self.path) == 1 and self.one is not None:
            self.keep(self.one)
            self.one = None

    def characters(self, text):
        if self.text is not None and sum(map(len, self.text)) < 4 * TEXT:
            self.text.append(text[: 4 * TEXT])

    def reference(self, attributes):
        id, references = bounded(attributes.get("id")), self.one["references"]
        # An address that was cut would lead elsewhere.
        href = bounded(attributes.get("href"), URL + 1)
        if id and len(references) < REFERENCES:
            references.setdefault(id, {"href": href} if re.match(r"https?://", href) and len(href) <= URL else {})
            self.cves(id, attributes.get("title"))

    def cves(self, *texts):
        for text in texts:
            self.one["cves"].update(re.findall(r"CVE-\d{4}-\d{4,9}", bounded(text, 2000)))

    def package(self, attributes):
        epoch, version, release, arch = (bounded(attributes.get(key), 101) for key in ("epoch", "version", "release", "arch"))
        evr = (f"{epoch}:" if epoch not in ("", "0") else "") + f"{version}-{release}"
        self.collection.append((attributes["name"], evr, arch))
        if len(self.collection) + len(self.one["packages"]) > PACKAGES:
            raise Broken(f"more than {PACKAGES} packages of one advisory")

    def keep(self, one):
        self.cves(one.get("title"))
        if len(self.found) == ADVISORIES:
            raise Broken(f"more than {ADVISORIES} advisories")
        severity = bounded(one.get("severity"))
        self.found.append(
            {
                "id": bounded(one.get("id"), 200),
                "title": bounded(one.get("title")),
                "type": one["type"] if one["type"] in TYPES else "other",
                **({"severity": severity} if severity not in ("", "None") else {}),
                **({"issued": one["issued"]} if one.get("issued") else {}),
                **({"status": bounded(one["status"], 40)} if one["status"] else {}),
                "cves": sorted(one["cves"])[:REFERENCES],
                "references": [{"id": id, **rest} for id, rest in one["references"].items()],
                "packages": [
                    {"name": name, "evr": evr, "arch": arch, **({"module": module} if module else {})}
                    for name, evr, arch, module in one["packages"]
                ],
                "total": one["total"],
            }
        )


def parsed(file, names):
    reader, size = Reader(names), 0
    while block := file.read(1 << 16):
        size += len(block)
        if size > UNPACKED:
            raise Broken(f"more than {UNPACKED >> 20} MiB unpacked")
        reader.parser.Parse(block, False)
        # Expat begins again at the start of a token with every block.
        if size - reader.parser.CurrentByteIndex > TOKEN:
            raise Broken(f"a piece of more than {TOKEN >> 20} MiB")
    reader.parser.Parse(b"", True)
    return reader.found


def module_streams(repo, names):
    """The streams of packages that the repo lists as parts of modules: `name:stream` by `name-[epoch:]version-release.arch`."""
    found = {}
    if repo.get_metadata_path("modules"):
        container = libdnf.module.ModulePackageContainer(False, "/nonexistent", "noarch")
        container.add(repo.get_metadata_content("modules"), repo.id)
        for module in container.getModulePackages():
            for nevra in module.getArtifacts():
                if nevra.rsplit("-", 2)[0] in names:
                    found[nevra.replace("-0:", "-")] = f"{module.getName()}:{module.getStream()}"
    return found


def read(request):
    base = base_of(request)
    base.conf.zchunk = False
    load_repos(base, refresh=True)
    [repo] = base.repos.iter_enabled()
    path = repo.get_metadata_path("updateinfo")
    if not path:
        return {"advisories": [], "modules": {}}
    with opened(repo, path) as file:
        advisories = parsed(file, request["names"])
    return {"advisories": advisories, "modules": module_streams(repo, set(request["names"]))}


def main():
    request = json.load(sys.stdin)
    try:
        answer = json.dumps(read(request))
        if len(answer) > ANSWER:
            raise Broken("too much in it")
    except Refused as refused:
        code, details = refused.answer["failure"], " ".join(refused.answer["details"])
        answer = json.dumps({"failure": code, "message": bounded(f"{refused}: {details}", 1000)})
    except (Broken, expat.ExpatError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, MemoryError, ValueError) as error:
        why = bounded(str(error) or type(error).__name__, 500)
        answer = json.dumps({"failure": "AdvisoryInvalid", "message": f"its updateinfo is broken: {why}"})
    except libdnf.error.Error as error:
        why = bounded(str(error), 500)
        answer = json.dumps({"failure": "AdvisoryInvalid", "message": f"its list of modules is broken: {why}"})
    except (dnf.exceptions.Error, hawkey.Exception, OSError) as error:
        answer = json.dumps({"failure": "RepoUnreachable", "message": bounded(str(error) or type(error).__name__, 1000)})
    sys.stdout.write("\n" + answer + "\n")
    sys.stdout.flush()
    os._exit(0)  # Nothing is left to do; freeing dnf's sacks takes longer than all before.


main()
