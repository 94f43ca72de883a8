"""Limits of a program that reads metadata from outside: what unpacks to gigabytes ends that process, not the machine."""
import resource

LIMITS = {resource.RLIMIT_AS: 3 << 30, resource.RLIMIT_FSIZE: 1 << 30, resource.RLIMIT_CPU: 240, resource.RLIMIT_CORE: 0}


def limit():
    for kind, most in LIMITS.items():
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
