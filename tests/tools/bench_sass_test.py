# SPDX-License-Identifier: Apache-2.0
"""Where a trigger is among the instructions of a kernel, as trigger_places.py says it."""

import unittest

import bench_results  # noqa: F401 (finds tools/bench)
from benchlib import sass
from trigger_places import place

WAIT, TRIGGER = "ACQBULK", "PREEXIT"
X = "@!P1 LDG.E.128 R8, desc[UR4][R12.64]"  # R8 to R11
WEIGHT = "LDG.E.64 R4, desc[UR4][R4.64]"  # R4 and R5
ELSE = "SHF.L.U32 R20, R7, 0x10, RZ"
USE = "FMUL R15, R11, R11"
STORE = "STG.E.128 desc[UR4][R2.64], R20"


class Place(unittest.TestCase):
    def test_a_trigger_is_at_the_wait_behind_loads_behind_their_use_or_behind_the_stores(self):
        for code, wanted in (
            ([WAIT, TRIGGER, X, USE, STORE], "at the wait"),
            ([WAIT, X, WEIGHT, ELSE, TRIGGER, USE, STORE], "behind the issue of 2 loads"),
            ([WAIT, X, WEIGHT, USE, ELSE, TRIGGER, STORE], "2 behind the first use of a load"),
            ([WAIT, X, USE, STORE, TRIGGER], "behind the stores"),
            ([X, USE, STORE], "no trigger"),
        ):
            self.assertEqual(place(code), wanted, code)

    def test_every_register_that_a_load_brings_counts_and_no_other(self):
        self.assertEqual(sass.first_use_of_a_load([X, "MOV R1, R12", "MOV R1, R10"]), 2)
        self.assertEqual(sass.first_use_of_a_load([WEIGHT, "MOV R1, R6", "MOV R1, R5"]), 2)
        self.assertEqual(sass.first_use_of_a_load(["LDG.E.U16 R3, [R2.64]", "MOV R1, R3"]), 1)
        address = "LDG.E R9, desc[UR4][R4.64]"
        self.assertEqual(sass.first_use_of_a_load([WEIGHT, address]), 1, "an address that was loaded")
        self.assertIsNone(sass.first_use_of_a_load([X, STORE]))


if __name__ == "__main__":
    unittest.main()
