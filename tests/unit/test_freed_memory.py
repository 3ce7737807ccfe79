"""What a worker frees, the system gets back: glibc would else keep large blocks in its arenas once one was freed."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

MEASURE = """
import ctypes, sys
from streams import app

class Found(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Found
if sys.argv[1] == "tuned":
    app.tune_malloc()
bytearray(20 * 2**20)  # freed at once: from here on glibc takes blocks up to this size from an arena
before = libc.mallinfo2().hblks
kept = [bytearray(2**20) for _ in range(8)]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or later")
@pytest.mark.parametrize(("how", "alone"), [("tuned", 8), ("as it comes", 0)])
def test_large_blocks_are_mapped_alone_whatever_was_freed_before(how: str, alone: int) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True)
    assert int(done.stdout) == alone
