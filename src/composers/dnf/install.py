"""Installs RPM files into a root in one transaction of librpm, and says of each scriptlet that failed what it said itself. Runs in a sandbox.

Request, JSON on standard input: {"root", "dbpath" (below the root), "packages": [path], "documentation": boolean,
"accounts": {"passwd" | "group" | "shadow" | "gshadow": text}}: accounts that keep their numbers, added before each scriptlet.
Progress goes to standard output, a line `progress DONE TOTAL` after each package; so does all that scriptlets and rpm print.
Answer, the last line: {"names": [{package, path}]}, names of files that no tree can have (nothing is installed then), or
{"scriptlets": [{package, scriptlet, how, fatal, output: [line]}], "changed": [path]}: what failed, and the packaged entries that
are not as they were packaged any more, because a scriptlet has changed them. Any other failure of the transaction ends with 1.
"""

import ctypes
import json
import os
import re
import stat
import sys
import tempfile

import rpm

GHOST = rpm.RPMFILE_GHOST
FAILED = re.compile(r"%(\w+)\((.+?)\) scriptlet failed, (.*)")
LUA = re.compile(r'lua script failed: \[string "%(\w+)\((.+?)\)"\]:(.*)')
WORDS = {"prein": "pre", "postin": "post", "preun": "preun", "postun": "postun"}
KEYS = {"passwd": 2, "group": 2}  # Place of an account's number.
libc = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_DUMPABLE = 24, 47, 4, 4
CAP_SETPCAP, CAP_SYS_CHROOT = 8, 18
CAPABILITY_VERSION = 0x20080522


def escaped(path):
    raw = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", raw)


def done(code):
    if code != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def keep_scriptlets_inside():
    """What this process keeps (it changes its root) no program that it starts gets: no scriptlet leaves the tree, or looks into this process."""
    done(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    for capability in (CAP_SETPCAP, CAP_SYS_CHROOT):
        done(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # Effective, permitted, inheritable; twice.
    done(libc.capget(header, sets))
    sets[2] = sets[5] = 0
    done(libc.capset(header, sets))
    done(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))


class Accounts:
    """Keeps accounts in the root's files. By descriptor: librpm may have changed its root when this is called."""

    def __init__(self, root, kept, owned):
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.kept = {file: text.splitlines() for file, text in kept.items() if text}
        self.owned = owned
        self.seen = {}

    def keep(self):
        for file in self.kept:
            path = f"etc/{file}"
            try:
                info = os.lstat(path, dir_fd=self.root)
            except FileNotFoundError:
                # The package that has it brings it; until then there is no one who could add to it.
                if path in self.owned or not self.made(path):
                    continue
                info = os.lstat(path, dir_fd=self.root)
            if self.seen.get(file) != (info.st_ino, info.st_mtime_ns, info.st_size) and stat.S_ISREG(info.st_mode):
                self.add(file, path)
                info = os.lstat(path, dir_fd=self.root)
            self.seen[file] = (info.st_ino, info.st_mtime_ns, info.st_size)

    def made(self, path):
        try:
            os.mkdir("etc", 0o755, dir_fd=self.root)
        except FileExistsError:
            pass
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644 if path[4:] in KEYS else 0, dir_fd=self.root))
        return True

    def add(self, file, path):
        with open(os.open(path, os.O_RDWR, dir_fd=self.root), "r+", encoding="utf-8", errors="surrogateescape") as there:
            lines = there.read().splitlines()
            names = {line.split(":")[0] for line in lines}
            place = KEYS.get(file)
            numbers = {line.split(":")[place] for line in lines if line.count(":") >= place} if place else set()
            # An account whose number is taken is not added: the check of accounts names it.
            new = [
                line
                for line in self.kept[file]
                if line.split(":")[0] not in names and not (place and line.split(":")[place] in numbers)
            ]
            if new:
                there.seek(0, os.SEEK_END)
                there.write("".join(f"{line}\n" for line in ([""] if lines and not ends_line(there) else []) + new))


def ends_line(file):
    file.seek(0)
    ends = file.read().endswith("\n")
    file.seek(0, os.SEEK_END)
    return ends


class Transaction:
    def __init__(self, request, told):
        self.told = told
        self.log = tempfile.TemporaryFile()
        rpm.addMacro("_dbpath", request["dbpath"])
        # Digests and signatures were verified against each repo's own keys when the packages were fetched.
        rpm.addMacro("_pkgverify_level", "digest")
        # It is mounted, and read-only.
        rpm.addMacro("_netsharedpath", "/proc")
        rpm.setVerbosity(rpm.RPMLOG_INFO)
        rpm.setLogFile(self.log)
        self.ts = rpm.TransactionSet(request["root"])
        self.ts.setVSFlags(rpm._RPMVSF_NOSIGNATURES)
        self.ts.setFlags(0 if request["documentation"] else rpm.RPMTRANS_FLAG_NODOCS)
        self.headers = [self.header(path) for path in request["packages"]]
        self.open = {}
        self.done = self.begun = self.read = 0
        self.scriptlets = []
        owned = {path.lstrip("/") for h in self.headers for path in h["filenames"] if path.startswith("/etc/")}
        self.accounts = Accounts(request["root"], request["accounts"], owned)

    def header(self, path):
        with open(path, "rb") as file:
            return self.ts.hdrFromFdno(file.fileno())

    def bad_names(self):
        return [
            {"package": h["nevra"], "path": escaped(path)}
            for h in self.headers
            for path in h["filenames"]
            if re.search(r"[\x00-\x1f\x7f\udc80-\udcff]", path)
        ]

    def run(self, packages):
        for path, h in zip(packages, self.headers):
            self.ts.addInstall(h, path, "i")
        self.ts.check()
        self.ts.order()
        self.ts.scriptFd = self.log.fileno()
        problems = self.ts.run(self.event, "")
        self.tell()
        return None if problems is None else [text for text, _ in problems]

    def tell(self):
        """Passes on what was printed since; answers it."""
        libc.fflush(None)
        self.log.seek(self.read)
        new = self.log.read()
        self.read += len(new)
        self.told.write(new)
        self.told.flush()
        return new.decode("utf-8", "backslashreplace")

    def event(self, reason, amount, total, key, data):
        if reason == rpm.RPMCALLBACK_INST_OPEN_FILE:
            self.open[key] = os.open(key, os.O_RDONLY)
            return self.open[key]
        if reason == rpm.RPMCALLBACK_INST_CLOSE_FILE:
            os.close(self.open.pop(key))
        elif reason == rpm.RPMCALLBACK_INST_START:
            self.done += 1
            self.told.write(f"progress {self.done} {len(self.headers)}\n".encode())
            self.told.flush()
        elif reason == rpm.RPMCALLBACK_SCRIPT_START:
            self.tell()
            self.accounts.keep()
        elif reason == rpm.RPMCALLBACK_SCRIPT_STOP:
            said = self.tell()
            if total != rpm.RPMRC_OK:
                self.scriptlets.append({**failed(said, str(key)), "fatal": total != rpm.RPMRC_NOTFOUND})

    def changed(self, root):
        """Packaged entries that differ from their package by now, in what librpm gave them when it installed them: times in whole seconds."""
        os.chroot(root)  # Links on the way lead where they lead in the tree.
        os.chdir("/")
        numbers = {"user": self.numbers("passwd"), "group": self.numbers("group")}
        found = set()
        for h in self.headers:
            for one in rpm.files(h):
                if one.fflags & GHOST:
                    continue
                try:
                    info = os.lstat(one.name)
                except OSError:
                    continue
                owners = ((numbers["user"].get(one.user), info.st_uid), (numbers["group"].get(one.group), info.st_gid))
                if (
                    stat.S_IFMT(info.st_mode) != stat.S_IFMT(one.mode & 0xFFFF)
                    or (not stat.S_ISLNK(info.st_mode) and stat.S_IMODE(info.st_mode) != one.mode & 0o7777)
                    or (stat.S_ISREG(info.st_mode) and info.st_mtime_ns != one.mtime * 10**9)
                    or (stat.S_ISLNK(info.st_mode) and os.readlink(one.name) != one.linkto)
                    or any(wanted not in (None, is_) for wanted, is_ in owners)
                ):
                    found.add(one.name)
        return sorted(found)

    @staticmethod
    def numbers(file):
        try:
            with open(f"/etc/{file}", encoding="utf-8", errors="replace") as lines:
                fields = [line.split(":") for line in lines]
        except OSError:
            return {}
        return {one[0]: int(one[2]) for one in fields if len(one) > 2 and one[2].isdigit()}


def failed(said, key):
    lines = [line for line in said.splitlines() if line.strip()]
    for at, line in enumerate(lines):
        found = FAILED.search(line) or LUA.search(line)
        if found:
            kind, package, how = found.groups()
            return {"scriptlet": f"%{WORDS.get(kind, kind)}", "package": package, "how": how.strip(), "output": (lines[:at] + lines[at + 1 :])[-20:]}
    return {"scriptlet": "a scriptlet", "package": os.path.basename(key), "how": "failed", "output": lines[-20:]}


def main():
    request = json.load(sys.stdin)
    told = os.fdopen(os.dup(1), "wb")
    keep_scriptlets_inside()
    transaction = Transaction(request, told)
    names = transaction.bad_names()
    if names:
        answer = {"names": names}
    else:
        # What Lua scriptlets print goes to this process' own output.
        os.dup2(transaction.log.fileno(), 1)
        problems = transaction.run(request["packages"])
        full = any("No space left on device" in line for one in transaction.scriptlets for line in one["output"])
        if problems is not None and (not transaction.scriptlets or problems) or full:
            transaction.log.seek(0)
            said = transaction.log.read().decode("utf-8", "backslashreplace").splitlines()
            print("\n".join(problems or said[-20:]), file=sys.stderr)
            return 1
        answer = {"scriptlets": transaction.scriptlets, "changed": transaction.changed(request["root"])}
    told.write(f"\n{json.dumps(answer)}\n".encode())
    told.flush()
    return 0


sys.exit(main())
