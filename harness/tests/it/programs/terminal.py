"""Types into a shell on a terminal of its own: `terminal.py COMMAND`.

The command is run by a shell without job control, as in a script, which then reads a line itself.
What appears is printed at the end."""

import os
import pty
import signal
import sys

child, terminal = pty.fork()
if child == 0:
    script = sys.argv[1] + "; echo it ended with $?; read line; echo the script read $line"
    os.execvp("/bin/sh", ["sh", "-c", script])

# Nothing here takes a second.
signal.alarm(30)
seen = b""


def until(text):
    """Reads until this has appeared since the last time."""
    global seen
    new = b""
    while text not in new:
        try:
            new += os.read(terminal, 4096)
        except OSError:
            sys.exit(f"{text} did not appear in:\n{(seen + new).decode()}")
    seen += new


def type_in(text):
    os.write(terminal, text)


until(b"ready> ")
type_in(b"echo it runs | tr u U; sleep 100\n")
until(b"it rUns")
type_in(b"\x03")
until(b"ready> ")
type_in(b"echo it lives | tr v V\n")
until(b"it liVes")
type_in(b"exit 5\n")
until(b"it ended with 5")
type_in(b"a line\n")
until(b"the script read a line")
sys.stdout.write(seen.decode())
