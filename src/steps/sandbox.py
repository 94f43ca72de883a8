"""Runs bubblewrap around foreign code: in a user namespace, behind a filter of system calls, within limits that are watched from outside.

usage: sandbox.py LIMITS -- bwrap ARGUMENT...
LIMITS, JSON: processes (at a time); memory (bytes: address space of each process); together (bytes that all have for themselves);
seconds; file (bytes of each file); disk (a folder) and free (bytes that stay free on its disk, and in the machine's memory).
bubblewrap must be told to make a PID namespace. What goes beyond a limit is killed as a whole, and the last line on standard error
says `sandbox: fatal: ` and why; else the exit code is the command's.

The user namespace maps every number to itself, so that owners of files are what they are outside; what root can do in it reaches nothing
that is not the sandbox's: no device node, no mount, no kernel setting. Where the machine allows none, the sandbox goes without it.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
import time

NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
NAMESPACES = [NEWNS, 0x2000000, 0x4000000, 0x8000000, NEWUSER, NEWPID, 0x40000000]
POLL = 0.1
libc = ctypes.CDLL(None, use_errno=True)

# Whatever reaches for the kernel, for other processes or for keys; a program that tries one of the second list falls back.
REFUSED = (
    "mount umount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr unshare setns "
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd add_key request_key keyctl "
    "bpf perf_event_open userfaultfd kexec_load kexec_file_load init_module finit_module delete_module reboot "
    "swapon swapoff sethostname setdomainname settimeofday clock_settime clock_settime64 clock_adjtime clock_adjtime64 adjtimex stime "
    "acct quotactl quotactl_fd syslog iopl ioperm open_by_handle_at fanotify_init lookup_dcookie nfsservctl vhangup "
    "modify_ldt vm86 vm86old"
).split()
UNKNOWN = "clone3 io_uring_setup io_uring_enter io_uring_register memfd_secret landlock_create_ruleset".split()
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EQ, GT, MASKED = 4, 6, 7
SECOND_ARCH = {"x86_64": 0x40000003, "aarch64": 0x40000028}  # i386 and 32-bit ARM programs.
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def seccomp_filter():
    """A file with the filter as the kernel takes it."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ALLOW)))
    second = SECOND_ARCH.get(os.uname().machine)
    if second:
        lib.seccomp_arch_add(context, ctypes.c_uint32(second))

    def refuse(name, error, *comparison):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # This libseccomp does not know it.
            return
        compared = (Comparison * 1)(Comparison(*comparison)) if comparison else None
        code = lib.seccomp_rule_add_array(context, ctypes.c_uint32(ERRNO | error), number, int(bool(comparison)), compared)
        if code not in (0, -errno.EDOM):  # EDOM: not on this architecture.
            raise OSError(-code, f"seccomp: {name}: {os.strerror(-code)}")

    for name in REFUSED:
        refuse(name, errno.EPERM)
    for name in UNKNOWN:
        refuse(name, errno.ENOSYS)
    for flag in NAMESPACES:
        refuse("clone", errno.EPERM, 0, MASKED, flag, flag)
    for request in (TIOCSTI, TIOCLINUX):
        refuse("ioctl", errno.EPERM, 1, MASKED, 0xFFFFFFFF, request)
    refuse("socket", errno.EAFNOSUPPORT, 0, GT, NETLINK)
    for family in set(range(NETLINK)) - {UNIX, INET, INET6}:
        refuse("socket", errno.EAFNOSUPPORT, 0, EQ, family)
    file = os.memfd_create("seccomp", 0)
    code = lib.seccomp_export_bpf(context, file)
    if code != 0:
        raise OSError(-code, f"seccomp: {os.strerror(-code)}")
    os.lseek(file, 0, os.SEEK_SET)
    return file


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter_user_namespace():
    """For this process and its children. Another process of the namespace outside must write what maps to what."""
    ready = os.pipe()
    me = os.getpid()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(ready[1])
            if os.read(ready[0], 1) == b"1":
                for name in ("uid_map", "gid_map"):
                    with open("/proc/self/" + name, encoding="ascii") as file:
                        ours = [line.split() for line in file]
                    with open(f"/proc/{me}/{name}", "w", encoding="ascii") as file:
                        file.write("".join(f"{inside} {inside} {count}\n" for inside, _, count in ours))
                code = 0
        finally:
            os._exit(code)
    failed = None
    try:
        call(libc.unshare, NEWUSER)
        os.write(ready[1], b"1")
    except OSError as error:
        failed = error
        os.write(ready[1], b"0")
    for end in ready:
        os.close(end)
    _, status = os.waitpid(helper, 0)
    if failed or status != 0:
        raise failed or OSError(errno.EPERM, "its numbers cannot be mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def can_mount():
    """Does a user namespace here allow what bubblewrap does in it? A process that tries, and is gone again."""
    probe = os.fork()
    if probe == 0:
        code = 1
        try:
            enter_user_namespace()
            call(libc.unshare, NEWNS | NEWPID)
            inner = os.fork()
            if inner == 0:
                try:
                    call(libc.mount, b"none", b"/", None, ctypes.c_ulong(0x44000), None)  # Private, recursively.
                    call(libc.mount, b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None)
                    os._exit(0)
                finally:
                    os._exit(1)
            code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
        finally:
            os._exit(code)
    return os.waitpid(probe, 0)[1] == 0


def start(limits, bwrap):
    """Answers bubblewrap's process, and the end of a pipe on which it says which process is the first one inside."""
    contained = can_mount()
    if not contained:
        print("sandbox: this machine allows no user namespace; going without", file=sys.stderr, flush=True)
    told, tell = os.pipe()
    child = os.fork()
    if child != 0:
        os.close(tell)
        return child, told
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        for kind, most in ((resource.RLIMIT_AS, limits["memory"]), (resource.RLIMIT_FSIZE, limits["file"]), (resource.RLIMIT_CORE, 0)):
            hard = resource.getrlimit(kind)[1]
            value = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (value, value))
        if contained:
            enter_user_namespace()
        seccomp = seccomp_filter()
        for file in (seccomp, tell):
            os.set_inheritable(file, True)
        os.execvp(bwrap[0], [bwrap[0], "--seccomp", str(seccomp), "--info-fd", str(tell), *bwrap[1:]])
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(126)


def first_inside(told):
    """bubblewrap's first process inside, and its PID namespace; None where it ended before."""
    text = b""
    while b"}" not in text:
        part = os.read(told, 4096)
        if not part:
            return None
        text += part
    pid = json.loads(text)["child-pid"]
    try:
        return pid, os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None


def used(namespace):
    """Number of processes in the namespace, and the bytes that they have for themselves."""
    count, pages = 0, 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}/ns/pid").st_ino != namespace:
                continue
            with open(f"/proc/{name}/statm", encoding="ascii") as file:
                _, resident, shared, *_ = file.read().split()
        except OSError:
            continue  # It has ended.
        count += 1
        pages += int(resident) - int(shared)
    return count, pages * resource.getpagesize()


def available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))


def beyond(limits, namespace, begun):
    """Which limit is exceeded, in words."""
    count, own = used(namespace)
    if count > limits["processes"]:
        return f"more than {limits['processes']} processes"
    if own > limits["together"]:
        return f"more than {limits['together'] >> 20} MiB of memory"
    if available() < limits["free"]:
        return f"less than {limits['free'] >> 20} MiB of the machine's memory are left"
    disk = os.statvfs(limits["disk"])
    if disk.f_bavail * disk.f_frsize < limits["free"]:
        return f"No space left on device: less than {limits['free'] >> 20} MiB"
    if disk.f_files and disk.f_favail < 4096:
        return "No space left on device: no more files"
    if time.monotonic() - begun > limits["seconds"]:
        return f"it took longer than {limits['seconds']} s"
    return None


def watch(limits, child, told):
    inside = first_inside(told)
    begun = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG if inside else 0)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        pid, namespace = inside
        why = beyond(limits, namespace, begun)
        if why:
            # The first process of a PID namespace takes all others with it.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(child, 0)
            print(f"\nsandbox: fatal: {why}", file=sys.stderr, flush=True)
            return 1
        time.sleep(POLL)


def main():
    limits, dashes, *bwrap = sys.argv[1:]
    if dashes != "--":
        sys.exit("sandbox: usage: sandbox.py LIMITS -- bwrap ARGUMENT...")
    limits = json.loads(limits)
    try:
        # A thousand processes must not keep this one waiting.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass
    return watch(limits, *start(limits, bwrap))


sys.exit(main())
