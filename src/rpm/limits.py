"""Limits of a program that reads metadata from outside: what unpacks to gigabytes ends that process, not the machine."""
import resource


def limit(memory=3 << 30, file=1 << 30, seconds=240):
    """Bytes of address space and of a file, seconds of processor time."""
    limits = {resource.RLIMIT_AS: memory, resource.RLIMIT_FSIZE: file, resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
