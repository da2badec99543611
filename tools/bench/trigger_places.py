#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where ptxas puts the PDL trigger of each plan, which says more than the plan: trigger_places.py
--aot build/release/bin/rmsnorm-aot [--arch sm_90] [--hidden 64,128,...]. No GPU is needed; nvdisasm
is (on the path, or RMSJIT_TEST_NVDISASM)."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from benchlib import sass

HIDDEN = "64,128,256,512,768,1024,1536,2048,2560,2880,3072,3584,4096,5120,5376,6144,7168,8192,12288,16384,32768,65536"
FORMS = ("{},pdl=on", "{},residual=add,add_round=unrounded,pdl=on")  # as FlashInfer rounds


def place(code):
    """Where the trigger is, in instructions."""
    triggers = sass.places(code, sass.TRIGGER)
    if not triggers:
        return "no trigger"
    trigger, wait = triggers[0], sass.places(code, sass.WAIT)[0]
    loads = sum(wait < i < trigger for i in sass.places(code, sass.LOAD))
    use = sass.first_use_of_a_load(code)
    if trigger > sass.places(code, sass.STORE)[-1]:
        return "behind the stores"
    if trigger > use:
        return f"{trigger - use} behind the first use of a load"
    return f"behind the issue of {loads} loads" if loads else "at the wait"


def show(aot, folder, arch, specs):
    for item, entries in sass.compiled(aot, folder, arch, specs):
        for name in ("rmsnorm_packed", "rmsnorm_few", "rmsnorm_many"):
            if name in entries:
                print(f"{item['spec_text']:62} {name[8:]:7} {place(entries[name])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aot", required=True)
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--hidden", default=HIDDEN)
    options = parser.parse_args()
    if not sass.NVDISASM:
        sys.exit("trigger_places.py: no nvdisasm on the path, and RMSJIT_TEST_NVDISASM names none")
    specs = [form.format(f"hidden={size}") for form in FORMS for size in options.hidden.split(",")]
    try:
        with tempfile.TemporaryDirectory() as folder:
            show(options.aot, pathlib.Path(folder), options.arch, specs)
    except OSError as error:
        sys.exit(f"trigger_places.py: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"trigger_places.py: {error.cmd[0]} ended with {error.returncode}")


if __name__ == "__main__":
    main()
