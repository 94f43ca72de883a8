"""Checks that a checked-out commit has what its packages are, and says what it leaves out and what was changed.

Request, JSON on standard input: {"tree": folder of the checkout, "database": folder of its RPM database, "packages": {name:
evra}, the lockfile's; "composed": what the composer says of its tree, see `Composed` in src/composers/composer.ts}.
Answer: {"packages": number, "entries": number that are as packaged, "leftOut": [{path, package, reason}], "changed": [{path,
package, reason, what}], "problems": [text]}. Paths and reasons are as in src/rpm/content.ts.
"""

import hashlib
import json
import os
import re
import stat
import sys

import rpm

HASHES = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
STATES = {1: "replaced", 2: "not-installed", 3: "net-shared", 4: "wrong-color"}
# Folders that are a machine's own: as links into /var, or as mount points that are empty in a commit.
OWN = ("home", "root", "srv", "mnt", "opt", "usr/local")
MOUNTS = ("dev", "proc", "run", "sys", "sysroot", "tmp", "media")
TOPS = {*OWN, *MOUNTS, "boot", "var", "ostree"}


def inside(path, folders):
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


class Tree:
    def __init__(self, root):
        self.root = root
        self.parents = {"": ""}
        self.users = self.numbers("passwd")
        self.groups = self.numbers("group")
        self.at_boot = self.tmpfiles()

    def at(self, path):
        return os.path.join(self.root, path)

    def info(self, path):
        try:
            return os.lstat(self.at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def locate(self, path):
        """Where an installed path is in the commit: /etc is usr/etc, and links on the way lead to where they lead in the tree."""
        path = path.strip("/")
        if inside(path, ("etc",)):
            path = f"usr/{path}"
        parent, _, name = path.rpartition("/")
        return "/".join(filter(None, (self.folder(parent), name)))

    def folder(self, path, depth=0):
        if path in self.parents:
            return self.parents[path]
        parent, _, name = path.rpartition("/")
        found = "/".join(filter(None, (self.folder(parent, depth), name)))
        info = self.info(found)
        if info is not None and stat.S_ISLNK(info.st_mode) and depth < 40:
            target = os.readlink(self.at(found))
            base = "" if target.startswith("/") else os.path.dirname(found)
            found = self.folder(os.path.normpath(f"/{base}/{target}").strip("/"), depth + 1)
        self.parents[path] = found
        return found

    def lines(self, path):
        """Of a text; none where that is no file of the tree: a masked one leads to /dev/null."""
        found = self.folder(path)
        info = self.info(found)
        if info is None or not stat.S_ISREG(info.st_mode):
            return []
        with open(self.at(found), encoding="utf-8", errors="replace") as file:
            return file.readlines()

    def numbers(self, file):
        found = {}
        for folder in ("usr/lib", "usr/etc"):
            fields = [line.split(":") for line in self.lines(f"{folder}/{file}")]
            found.update((one[0], int(one[2])) for one in fields if len(one) > 2 and one[2].isdigit())
        return found

    def tmpfiles(self):
        """Paths that systemd-tmpfiles makes at boot, as far as they are written without specifiers."""
        paths = set()
        for folder in ("usr/lib/tmpfiles.d", "usr/etc/tmpfiles.d"):
            try:
                names = os.listdir(self.at(self.folder(folder)))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for line in (line for name in names for line in self.lines(f"{folder}/{name}")):
                found = re.match(r'[dDLvqQCef]\S*\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))', line)
                if found:
                    path = re.sub(r"\\x([0-9a-f]{2})", lambda x: chr(int(x[1], 16)), found[1] or found[2])
                    paths.add(re.sub(r"\\(.)", r"\1", path).replace("%%", "%").rstrip("/"))
        return paths

    def owner(self, one):
        users = {**self.users, "root": 0}
        groups = {**self.groups, "root": 0}
        return users.get(one.user), groups.get(one.group)


def digest(path, algorithm):
    found = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def differences(tree, path, info, one, algorithm):
    """What of an entry is not as its package says, in words; nothing that the package leaves open (%config, %verify)."""
    mode = one.mode & 0xFFFF
    if stat.S_IFMT(info.st_mode) != stat.S_IFMT(mode):
        return ["type"]
    found = []
    checked, file = one.vflags, tree.at(path)
    if stat.S_ISLNK(mode):
        if checked & rpm.RPMVERIFY_LINKTO and os.readlink(file) != one.linkto:
            found.append(f"target {os.readlink(file)} instead of {one.linkto}")
    elif checked & rpm.RPMVERIFY_MODE and stat.S_IMODE(info.st_mode) != stat.S_IMODE(mode):
        found.append(f"mode {stat.S_IMODE(info.st_mode):04o} instead of {stat.S_IMODE(mode):04o}")
    if stat.S_ISREG(mode) and not one.fflags & rpm.RPMFILE_CONFIG:
        if checked & rpm.RPMVERIFY_FILESIZE and info.st_size != one.size:
            found.append("content")
        elif checked & rpm.RPMVERIFY_FILEDIGEST and one.digest and digest(file, algorithm) != one.digest:
            found.append("content")
    if stat.S_ISREG(mode) and checked & rpm.RPMVERIFY_CAPS:
        has = "security.capability" in os.listxattr(file, follow_symlinks=False)
        if has != bool(one.caps):
            found.append("capabilities")
    names = {rpm.RPMVERIFY_USER: ("user", one.user), rpm.RPMVERIFY_GROUP: ("group", one.group)}
    for (flag, (kind, name)), wanted, number in zip(names.items(), tree.owner(one), (info.st_uid, info.st_gid)):
        if checked & flag and wanted != number:
            account = f"{kind} {name} ({'no such account' if wanted is None else wanted})"
            found.append(f"owner {number} instead of {account}")
    return found


class Check:
    def __init__(self, tree, composed):
        self.tree, self.composed = tree, composed
        self.left_out, self.changed, self.problems = [], [], []
        self.entries = 0
        self.may_remove = [
            (one["by"], one.get("package"), [re.compile(pattern) for pattern in one["patterns"]])
            for one in composed["mayRemove"]
        ]

    def package(self, h, entries):
        name = h["name"]
        algorithm = HASHES.get(h["filedigestalgo"] or 1, "md5")
        for one in rpm.files(h):
            # Ghosts are names that a package owns and does not bring.
            if not one.fflags & rpm.RPMFILE_GHOST:
                entries.setdefault(self.tree.locate(one.name), []).append((name, one, algorithm))

    def all(self, entries):
        for place, owners in entries.items():
            info = self.tree.info(place)
            name, one, _ = owners[0]
            path = one.name.strip("/")
            if path in TOPS:
                self.entries += 1
            elif info is None:
                # Where several packages have it, one reason is enough.
                reasons = [self.reason(place, *owner[:2]) for owner in owners]
                reason = next((found for found in reasons if found), None)
                if reason:
                    self.left_out.append({"path": one.name, "package": name, "reason": reason})
                else:
                    self.problems.append(f"{one.name} of {name} is missing")
            else:
                self.present(place, info, owners)

    def present(self, place, info, owners):
        found = [
            differences(self.tree, place, info, one, algorithm)
            for _, one, algorithm in owners
            if one.state not in STATES
        ]
        if not found or any(not one for one in found):
            self.entries += 1
            return
        name, one, _ = owners[0]
        what = ", ".join(found[0])
        reason = self.composed["changed"].get(one.name)
        if reason is None and self.composed["presumed"] and not any(word.startswith("owner") for word in found[0]):
            reason = self.composed["presumed"]
        if reason:
            self.changed.append({"path": one.name, "package": name, "reason": reason, "what": what})
        else:
            self.problems.append(f"{one.name} of {name} is not as packaged: {what}")

    def reason(self, place, name, one):
        path, mode = one.name.strip("/"), one.mode & 0xFFFF
        removed = self.composed["removed"].get(one.name)
        if removed:
            return removed
        for by, package, patterns in self.may_remove:
            if package in (None, name) and any(pattern.search(one.name) for pattern in patterns):
                return by
        # rpm leaves a folder out too if it has nothing but documentation in it.
        skipped = one.state == rpm.RPMFILE_STATE_NOTINSTALLED
        if one.langs and self.composed["languages"]:
            return "install-langs"
        if not self.composed["documentation"] and (skipped or one.fflags & rpm.RPMFILE_DOC):
            return "documentation"
        if one.state in STATES:
            return STATES[one.state]
        if inside(path, ("boot",)):
            return "boot"
        if inside(path, MOUNTS):
            return "mount-point"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            return "special-file"
        if f"/{place}" in self.tree.at_boot and not stat.S_ISREG(mode):
            return "at-boot"
        if inside(path, ("var",)) or inside(path, OWN) and not stat.S_ISREG(mode):
            return "var"
        return self.composed["presumed"]


def main():
    request = json.load(sys.stdin)
    rpm.addMacro("_dbpath", request["database"])
    ts = rpm.TransactionSet()
    ts.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
    check = Check(Tree(request["tree"]), request["composed"])
    locked, entries, count = dict(request["packages"]), {}, 0
    for h in ts.dbMatch():
        if h["name"] == "gpg-pubkey":
            continue
        count += 1
        evra = f"{str(h['epoch']) + ':' if h['epoch'] else ''}{h['version']}-{h['release']}.{h['arch']}"
        if locked.pop(h["name"], None) != evra:
            wanted = request["packages"].get(h["name"])
            check.problems.append(f"{h['name']}-{evra} is in the RPM database, but {wanted or 'no such package'} is locked")
        check.package(h, entries)
    check.problems += [f"{name}-{evra} is locked, but not in the RPM database" for name, evra in locked.items()]
    check.all(entries)
    answer = {"packages": count, "entries": check.entries, "leftOut": check.left_out, "changed": check.changed}
    sys.stdout.write("\n" + json.dumps({**answer, "problems": check.problems}) + "\n")


main()
