# SPDX-License-Identifier: Apache-2.0
"""The console script rmsnorm-aot: the packaged binary takes this process over."""

import os
import sys
from pathlib import Path


def main():
    program = Path(__file__).parent / "bin" / "rmsnorm-aot"
    os.execv(program, [str(program), *sys.argv[1:]])
