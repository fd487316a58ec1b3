"""A PostgreSQL of one's own in a folder: started, restarted, killed, thrown away."""

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 120
shared_buffers = 64MB
max_wal_size = 256MB
"""


def programs():
    """Where initdb and pg_ctl are, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
    return Path(debian[-1]).parent if debian else None


class Cluster:
    def __init__(self, folder):
        self.folder, self.bin = folder, programs()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        self.do("initdb", "-D", folder / "data", "-U", "forewarn", "-A", "trust", "-E", "UTF8", "--no-sync")
        with open(folder / "data" / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(SETTINGS.format(port=self.port))
        self.start()

    def do(self, program, *arguments):
        """It does not run as root: then as the user postgres."""
        as_whom = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_whom, self.bin / program, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", timeout=120)
        if done.returncode != 0:
            raise OSError(f"{program}: {done.stderr or done.stdout}")

    def control(self, *what):
        # pg_ctl hands its own output on to the server, which would keep a pipe open for ever: -l sends it elsewhere.
        self.do("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "-t", "60", *what)

    def start(self):
        self.control("start")

    def stop(self, mode):
        self.control("stop", "-m", mode)

    def restart(self):
        """Orderly; where its last checkpoint takes too long on a busy disk, with less order."""
        try:
            self.stop("fast")
        except OSError:
            self.stop("immediate")
        self.start()

    def heal(self):
        """After a round that failed it may be down."""
        try:
            self.wait_until_ready(tries=50)
        except OSError:
            with contextlib.suppress(OSError):
                self.stop("immediate")
            self.start()

    def wait_until_ready(self, tries=600):
        """After a crash it recovers by itself."""
        question = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(tries):
            if subprocess.run(question, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise OSError("PostgreSQL does not answer")

    def url(self, database):
        return f"postgres://forewarn@127.0.0.1:{self.port}/{database}"

    def create_database(self, name):
        self.do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "forewarn", name)

    def drop_database(self, name):
        self.do("dropdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "forewarn", "--if-exists", "--force", name)

    def processes(self):
        """The processes that serve clients."""
        head = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (entry / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if parent == head and words.startswith(b"postgres: forewarn "):
                found.append(int(entry.name))
        return found
