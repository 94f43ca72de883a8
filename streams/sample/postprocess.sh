#!/usr/bin/bash
# Runs in the finished tree, before its commit: what belongs to this image and not to a package.
set -euo pipefail
# The image's identity: which variant of the distribution this is.
printf 'VARIANT="Standard"\nVARIANT_ID=standard\n' >> /usr/lib/os-release
