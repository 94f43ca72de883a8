"""Makes an SQLite RPM database one repeatable file that can be read without write access.

usage: rpmdb.py ROOT DBPATH
"""

import os
import sqlite3
import sys

root, folder = sys.argv[1:]
os.chroot(root)  # Links on the way lead where they lead in the tree.
os.chdir("/")
path = os.path.join(folder, "rpmdb.sqlite")
if not os.path.exists(path):
    sys.exit(f"{folder}: rpm wrote no SQLite database there")
database = sqlite3.connect(path)
# With a write-ahead log even readers must write; a read-only /usr forbids that.
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.execute("PRAGMA journal_mode=DELETE")
database.execute("VACUUM")
database.close()
for name in os.listdir(folder):
    if name != "rpmdb.sqlite":
        os.unlink(os.path.join(folder, name))
os.chmod(path, 0o644)
