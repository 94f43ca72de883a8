#!/usr/bin/bash
# Runs in the finished tree, before its commit: what belongs to this image and not to a package.
set -euo pipefail
# The image's identity: which variant of the distribution this is.
printf 'VARIANT="Signed"\nVARIANT_ID=signed\n' >> /usr/lib/os-release
# Machines of this stream follow its signed releases, at the mirror.
sed -i 's#^url=.*#url=http://10.0.2.2:8470/mirror/sample-signed/repo#' /etc/ostree/remotes.d/sample.conf
