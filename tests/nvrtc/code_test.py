# SPDX-License-Identifier: Apache-2.0
"""The instructions of compiled kernels: what no CPU runs of device.cuh. Nothing is loaded by the
read-only path or lies in local memory, and under PDL the wait comes before every access to global
memory and before the trigger, which is where a plan has it. L2's policy is on the inputs alone.
code_test.py RMSNORM_AOT; RMSJIT_TEST_NVDISASM names nvdisasm."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "bench"))
from benchlib import sass
from benchlib.sass import places
from trigger_places import place

AOT = sys.argv.pop(1)
# One leaf a thread: both entries have the registers to load the weight early.
CONSTANT = "hidden=2048,residual=add,pdl=on,constant_weight=on"
SPECS = [
    "hidden=4096",
    "hidden=4096,residual=add,y_placement=in_place",
    "hidden=64,layout=heads,x=f16",
    "hidden=3",
    "hidden=2881,residual=add",
    "hidden=4096,x=f32,residual=add",
    "hidden=4096,pdl=on",
    "hidden=1024,residual=add,pdl=on",
    "hidden=128,layout=heads,pdl=on",
    "hidden=5125,residual=add,pdl=on",
    "hidden=65536,pdl=on",
    "hidden=262144,residual=add,pdl=on",
    "hidden=100000,x=f32,residual=add,residual_dtype=f32,pdl=on",
    "hidden=8192,x=f32,y=bf16,residual=add,pdl=on",
    "hidden=8192,weight=f32,residual=add,add_round=unrounded,pdl=on",
    CONSTANT,
]
# Some schedules of them trigger there; which, changes with the plan files.
ISSUE = [f"hidden={size},x=bf16,{rest}pdl=on" for rest in ("", "residual=add,")
         for size in (512, 1024, 3584, 4096, 5120, 6144, 8192, 12288)]


@unittest.skipUnless(sass.NVDISASM, "no nvdisasm")
class Code(unittest.TestCase):
    def expect_all_right(self, arch, specs):
        with tempfile.TemporaryDirectory() as folder:
            for item, entries in sass.compiled(AOT, pathlib.Path(folder), arch, specs):
                self.assertGreaterEqual(len(entries), 2)
                for name, code in entries.items():
                    with self.subTest(arch=arch, spec=item["spec_text"], entry=name):
                        self.expect_right(item["spec_text"], code)

    def expect_right(self, spec, code):
        loads, stores = places(code, sass.LOAD), places(code, sass.STORE)
        self.assertTrue(loads and stores)
        self.assertEqual([code[i] for i in loads if "CONSTANT" in code[i]], [], "the read-only path")
        self.assertEqual(places(code, r"\b(LDL|STL)\b"), [], "local memory")
        waits, triggers = places(code, sass.WAIT), places(code, sass.TRIGGER)
        if "pdl=on" not in spec:
            self.assertEqual((waits, triggers), ([], []))
            return
        self.assertEqual(len(waits), 1)
        self.assertTrue(triggers)
        self.assertLess(waits[0], min(triggers + stores))
        early = [i for i in loads if i < waits[0]]
        if "constant_weight=on" in spec:
            self.assertLess(0, len(early), "the weight may be loaded before the wait, and is")
            self.assertLess(len(early), len(loads), "x and the residual may not")
        else:
            self.assertEqual([code[i] for i in early], [])

    def test_on_a_target_with_pdl(self):
        self.expect_all_right("sm_90", SPECS)

    def test_a_trigger_at_the_issue_of_the_loads_is_between_them_and_the_first_use(self):
        seen = Counter()
        with tempfile.TemporaryDirectory() as folder:
            for item, entries in sass.compiled(AOT, pathlib.Path(folder), "sm_90", ISSUE):
                spec = item["spec_text"]
                explain = [AOT, "explain", "--spec", spec, "--arch", "sm_90", "--bundle", f"{folder}/bundle"]
                done = subprocess.run(explain, stdout=subprocess.PIPE, text=True, check=True)
                for entry, schedule in self.schedules(done.stdout).items():
                    if "trigger=issue" not in schedule:
                        continue
                    seen["residual=add" in spec] += 1
                    wanted = f"behind the issue of {self.loads_of_a_row(spec, schedule)} loads"
                    self.assertEqual(place(entries[entry]), wanted, f"{spec} {entry} {schedule}")
        self.assertGreater(min(seen[False], seen[True]), 0, "choose other specs")

    def test_the_inputs_of_long_rows_have_the_policy_of_the_arguments_and_the_weight_has_none(self):
        specs = ["hidden=4096,x=bf16", "hidden=4096,x=bf16,residual=add", "hidden=128,x=bf16"]
        for arch in ("sm_90", "sm_120"):
            with tempfile.TemporaryDirectory() as folder:
                for item, entries in sass.compiled(AOT, pathlib.Path(folder), arch, specs):
                    with self.subTest(arch=arch, spec=item["spec_text"]):
                        code = entries["rmsnorm_packed"]
                        loads, stores = self.descriptors(code, sass.LOAD), self.descriptors(code, sass.STORE)
                        weights = sum(loads[name] for name in stores)  # a store has none
                        self.assertGreater(weights, 0)
                        inputs = 2 if "residual=add" in item["spec_text"] else 1
                        with_policy = arch == "sm_90" and "hidden=4096" in item["spec_text"]
                        all_loads = (1 + inputs) * weights if with_policy else weights
                        self.assertEqual(sum(loads.values()), all_loads)

    def test_the_weight_is_loaded_with_x_where_a_block_would_wait_for_it(self):
        # Neither behind the arrival of x, nor into its registers: row_work.cuh, rmsnorm.cuh.
        specs = ["hidden=4096", "hidden=16384,residual=add", "hidden=131072,residual=add"]
        for spec, code in self.packed_of(specs):
            with self.subTest(spec=spec):
                self.assertLess(max(places(code, sass.LOAD)), sass.first_use_of_a_load(code))

    def test_an_h_of_32_registers_leaves_room_for_four_blocks_under_pdl(self):
        specs = [f"hidden=8192,x={x},residual=add,add_round=unrounded,pdl=on" for x in ("bf16", "f16")]
        for spec, code in self.packed_of(specs):
            with self.subTest(spec=spec):
                self.expect_right(spec, code)
                registers = 1 + max(int(n) for n in re.findall(r"\bR(\d+)\b", " ".join(code)))
                self.assertLessEqual(registers, 64, "of 256 threads, four times")

    def test_short_rows_know_their_number_without_blockdim_and_store_the_sum_before_it_is_needed(self):
        # row_map.cuh: blockDim is on a line of its own; row_work.cuh: kStandIn.
        specs = [f"hidden=128{add}{pdl}" for add in ("", ",residual=add") for pdl in ("", ",pdl=on")]
        with tempfile.TemporaryDirectory() as folder:
            for item, entries in sass.compiled(AOT, pathlib.Path(folder), "sm_90", specs):
                for name, code in entries.items():
                    with self.subTest(spec=item["spec_text"], entry=name):
                        self.assertEqual(places(code, r"c\[0x0\]\[0x[048]\]"), [])
                if "residual=add" not in item["spec_text"]:
                    continue
                code = entries["rmsnorm_packed"]
                with self.subTest(spec=item["spec_text"]):
                    self.assertLess(min(places(code, sass.STORE)), min(places(code, r"\b(SHFL|STS)\b")))
                    # Around the loads of a row that is not there; under PDL that of compute_before alone.
                    first_load = min(places(code, sass.LOAD))
                    branches = [i for i in places(code, r"@!?P\d BRA") if i < first_load]
                    self.assertEqual(len(branches), 1)

    def test_several_rows_have_all_that_the_sum_needs_before_they_load(self):
        # rmsnorm.cuh, row_work.cuh: no look-up of where shared memory is between the loads and the sum.
        specs = ["hidden=64,residual=add", "hidden=128,residual=add"]
        for spec, code in self.packed_of(specs):
            with self.subTest(spec=spec):
                self.assertGreater(len(places(code, r"\bLDS\b")), 0)
                self.assertLess(max(places(code, r"\bS2U?R\b")), min(places(code, sass.LOAD)))

    def test_several_plain_rows_branch_around_the_slow_root(self):
        # row_math.cuh
        specs = ["hidden=128", "hidden=256"]
        for spec, code in self.packed_of(specs):
            with self.subTest(spec=spec):
                fast, slow = places(code, r"MUFU\.RSQ")
                between = [i for i in places(code, r"@!?P\d BRA") if fast < i < slow]
                self.assertGreater(len(between), 0)

    def test_few_rows_ask_for_the_weight_while_x_is_on_its_way_and_load_it_then(self):
        # row_work.cuh: kWeightAhead
        with tempfile.TemporaryDirectory() as folder:
            for item, entries in sass.compiled(
                AOT, pathlib.Path(folder), "sm_90", ["hidden=3072", "hidden=3072,residual=add"]
            ):
                with self.subTest(spec=item["spec_text"]):
                    code = entries["rmsnorm_few"]
                    asked = places(code, r"\bUBLKPF\b")
                    self.assertEqual(len(asked), 1)
                    arrived = sass.first_use_of_a_load(code)
                    self.assertLess(asked[0], arrived)
                    self.assertGreater(max(places(code, sass.LOAD)), arrived)
                    self.assertEqual(places(entries["rmsnorm_packed"], r"\bUBLKPF\b"), [])

    def test_a_fused_add_has_its_addresses_before_it_loads_in_blocks_of_four_warps_alone(self):
        # row_work.cuh: kSoonAll. Where they are between the loads they are fetched there.
        with tempfile.TemporaryDirectory() as folder:
            for _, entries in sass.compiled(
                AOT, pathlib.Path(folder), "sm_90", ["hidden=256,residual=add"]
            ):
                for entry, between in (("rmsnorm_packed", False), ("rmsnorm_many", True)):
                    with self.subTest(entry=entry):
                        loads = places(entries[entry], sass.LOAD)
                        fetches = places(entries[entry], r"\bU?LDC")
                        found = [i for i in fetches if loads[0] < i < loads[-1]]
                        self.assertEqual(bool(found), between)

    @staticmethod
    def packed_of(specs):
        """Of each spec, on sm_90, its text and the code of the packed entry."""
        with tempfile.TemporaryDirectory() as folder:
            for item, entries in sass.compiled(AOT, pathlib.Path(folder), "sm_90", specs):
                yield item["spec_text"], entries["rmsnorm_packed"]

    @staticmethod
    def descriptors(code, pattern):
        """How many of the instructions use which: a policy is in it."""
        return Counter(re.search(r"desc\[(\w+)\]", line)[1] for line in code if re.search(pattern, line))

    @staticmethod
    def schedules(explained):
        """Of explain's tuning: the packed entries and the schedule of each."""
        tuning = re.search(r"tuning +(\S+)", explained)[1]
        extras = re.findall(r",(few|many)=[^(]*\(([^)]*)\)", tuning)
        return {"rmsnorm_packed": re.split(",(?:few|many)=", tuning)[0]} | {
            f"rmsnorm_{name}": schedule for name, schedule in extras
        }

    @staticmethod
    def loads_of_a_row(spec, schedule):
        """Of x, the residual and the weight, a leaf a slot."""
        slots = int(schedule.partition("registers=")[2].partition(",")[0])
        return slots * (3 if "residual=add" in spec else 2)

    def test_on_a_newer_target(self):
        self.expect_all_right("sm_120", SPECS[::2] + [CONSTANT])

    def test_on_a_target_without_pdl(self):
        self.expect_all_right("sm_80", [spec for spec in SPECS if "pdl=on" not in spec])


if __name__ == "__main__":
    unittest.main()
