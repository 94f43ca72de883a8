"""Reads the headers of RPM files, or of the packages in an RPM database, by librpm, as JSON.

Request, JSON on standard input: {"files": [path]} or {"dbpath": folder}; "scratch" (an empty folder); "details" (boolean).
Answer: {"headers": [header]}, in the order of the files; a file that is no RPM is {"failure": message}. A header: name, evra
([epoch:]version-release.arch), sourcerpm, header (sha256 of the immutable header, computed here; the payload's digest is a part
of that), sigmd5, signature {key (id), digest}; with details also files, scripts, dependencies. Signatures are not verified here.
"""

import hashlib
import json
import os
import sys

import rpm

sys.dont_write_bytecode = True
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from limits import limit

limit(file=1 << 26, seconds=600)

MAGIC = bytes.fromhex("8eade80100000000")
IMMUTABLE = 63
SCRIPTS = ["prein", "postin", "preun", "postun", "pretrans", "posttrans", "verifyscript"]
TRIGGERS = ["trigger", "filetrigger", "transfiletrigger"]
DEPENDENCIES = ["require", "provide", "conflict", "obsolete", "recommend", "suggest", "supplement", "enhance"]


def text(value):
    if isinstance(value, (list, tuple)):
        return "\n".join(text(one) for one in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def tag(h, name):
    """A tag's value as text; empty for one that this librpm or this package has not."""
    try:
        return text(h[name])
    except (ValueError, KeyError):
        return ""


def signature(h):
    for name in ("rsaheader", "dsaheader"):
        blob = h[name]
        if blob:
            words = h.sprintf("%{" + name + ":pgpsig}")
            return {"key": words.rpartition("Key ID ")[2].strip(), "digest": hashlib.sha256(bytes(blob)).hexdigest()}
    return None


def evra(h):
    epoch = f"{h['epoch']}:" if h["epoch"] else ""
    return text(f"{epoch}{h['version']}-{h['release']}.{h['arch']}")


def brief(h):
    sigmd5 = h["sigmd5"]
    return {
        "name": text(h["name"]),
        "evra": evra(h),
        "sourcerpm": tag(h, "sourcerpm"),
        "header": hashlib.sha256(MAGIC + bytes(h[IMMUTABLE])).hexdigest(),
        "sigmd5": bytes(sigmd5).hex() if sigmd5 else "",
        "signature": signature(h),
    }


def details(h):
    scripts = {name: f"{tag(h, name + 'prog')}\n{tag(h, name)}" for name in SCRIPTS if tag(h, name + "prog") or tag(h, name)}
    for name in TRIGGERS:
        parts = ["scripts", "scriptprog", "name", "version", "flags", "index"]
        if tag(h, name + "name"):
            scripts[name] = "\n".join(tag(h, name + part) for part in parts)
    return {
        "files": [
            {
                "path": text(one.name),
                "mode": one.mode & 0xFFFF,
                "user": text(one.user),
                "group": text(one.group),
                "flags": one.fflags,
                "link": text(one.linkto),
                "caps": text(one.caps),
                "digest": text(one.digest),
            }
            for one in rpm.files(h)
        ],
        "scripts": scripts,
        # Without the sign of its kind, such as `R bash >= 4`.
        "dependencies": {name: sorted({text(one.DNEVR())[2:] for one in rpm.ds(h, name + "name")}) for name in DEPENDENCIES},
    }


def main():
    request = json.load(sys.stdin)
    rpm.addMacro("_dbpath", request.get("dbpath") or request["scratch"])
    ts = rpm.TransactionSet()
    ts.setVSFlags(rpm._RPMVSF_NOSIGNATURES)

    def described(h):
        return {**brief(h), **(details(h) if request.get("details") else {})}

    def read(path):
        try:
            with open(path, "rb") as file:
                return described(ts.hdrFromFdno(file.fileno()))
        except (rpm.error, OSError, ValueError, TypeError) as error:
            return {"failure": text(error)[:300]}

    if "dbpath" in request:
        headers = [described(h) for h in ts.dbMatch() if h["name"] != "gpg-pubkey"]
    else:
        headers = [read(path) for path in request["files"]]
    # A line of its own: librpm may write to standard output too.
    sys.stdout.write("\n" + json.dumps({"headers": headers}) + "\n")


main()
