"""A person at a terminal: `prompt.py PROGRAM ARGUMENT…` starts the program there.

Standard input is a JSON list of pairs: a text to wait for, and the keys to press then. What the terminal showed goes to
standard output.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

PATIENCE = 60

steps = json.load(sys.stdin)
program, terminal = pty.fork()
if program == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
shown, at = b"", 0


def read(patience):
    """More of what the terminal shows; nothing once the program has ended."""
    global shown
    if not select.select([terminal], [], [], max(0, patience))[0]:
        os.kill(program, 9)
        sys.exit(f"waited in vain: {shown[at:]!r} after {shown[:at]!r}")
    try:
        more = os.read(terminal, 65536)
    except OSError:  # How Linux says that nobody writes to a terminal any more.
        more = b""
    shown += more
    return more


for text, keys in steps:
    deadline = time.monotonic() + PATIENCE
    while (found := shown.find(text.encode(), at)) < 0:
        if not read(deadline - time.monotonic()):
            sys.exit(f"the program ended before it showed {text!r}: {shown!r}")
    at = found + len(text.encode())
    os.write(terminal, keys.encode())
while read(PATIENCE):
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
