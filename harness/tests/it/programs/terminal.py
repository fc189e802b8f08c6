"""Types into a shell on a terminal of its own: `terminal.py COMMAND`.

A shell without job control runs the command, as a script would, and then reads a line itself. The
output of the terminal is printed at the end."""

import os
import pty
import signal
import sys

child, terminal = pty.fork()
if child == 0:
    script = sys.argv[1] + "; echo it ended with $?; read line; echo the script read $line"
    os.execvp("/bin/sh", ["sh", "-c", script])

# Time limit; each step takes less than a second.
signal.alarm(30)
seen = b""


def until(text):
    """Reads until the text appears, after what was read before."""
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
# One job: a Ctrl-C between two jobs would reach neither.
type_in(b"sh -c 'echo it runs | tr u U; exec sleep 100'\n")
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
