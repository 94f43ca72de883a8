#!/bin/bash
# Runs in the new tree, before it is committed.
set -euo pipefail

# There is no syslog daemon: the journal is the only log.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=persistent\n' > /etc/systemd/journald.conf.d/10-persistent.conf

# Shipped for those who want it; container networks set up their own rules.
systemctl disable firewalld.service
