#!/usr/bin/env python3
"""What the comparison makes of samples: ratios, goals, the table; what it makes of parties that fail. Needs no peer installed.

    python3 tools/peers/test_peers.py
With SWITCHYARD_BENCH naming switchyard_bench, our own party answers too.
"""
import math
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases
import compare
import get_ggml
import report
from party import Gone, Party


def row_of(**medians):
    parties = {name: {"seconds": [m], "repeats": 1, **compare.summary([m])} for name, m in medians.items()}
    return {"name": "work", "kind": "matmul", "flops": 100.0, "bytes": 0, "roof": "fma", "goals": {}, "parties": parties, "missing": {}}


class Samples(unittest.TestCase):
    def test_summary(self):
        s = compare.summary([4.0, 1.0, 2.0, 3.0, 100.0])
        self.assertEqual((s["median"], s["best"], s["n"]), (3.0, 1.0, 5))
        self.assertAlmostEqual(s["spread"], (4.0 - 2.0) / 2 / 3.0)
        self.assertEqual(compare.summary([2.0])["spread"], 0)

    def test_ratio_is_theirs_to_ours(self):
        row = row_of(switchyard=2.0, ncnn=10.0)
        self.assertEqual(report.ratio(row, "ncnn"), 5.0)
        self.assertIsNone(report.ratio(row, "ggml"))
        self.assertIsNone(report.ratio(row_of(ncnn=1.0), "ncnn"))

    def test_share_of_the_roof(self):
        row = row_of(switchyard=2.0, roof=0.5)
        row["parties"]["roof"]["amount"] = 50.0  # 100 a second; ours is 50 a second
        self.assertEqual(report.share(row), 0.5)
        row["roof"], row["bytes"] = "triad", 20
        self.assertEqual(report.share(row), 0.1)

    def test_goals(self):
        row = row_of(switchyard=1.0, ncnn=4.0, ggml=12.0)
        row["goals"] = {"ncnn": 5, "ggml": 10, "best": 4, "roof": 0.25}
        got = {against: (value, reached) for against, _, value, reached in report.goals(row)}
        self.assertEqual(got["ncnn"], (4.0, False))
        self.assertEqual(got["ggml"], (12.0, True))
        self.assertEqual(got["best"], (4.0, True))  # the faster of the two, reached exactly
        self.assertEqual(got["roof"], (None, None))
        self.assertIn("5 x ncnn: **no**", report.verdict(row))
        self.assertIn("0.25 of the roof: not measured", report.verdict(row))

    def test_other_work_is_no_figure(self):
        row = row_of(switchyard=1.0, ncnn=1.0, ggml=1.0, pytorch=1.0)
        compare.check_means(row, {"switchyard": 1.0, "ncnn": 1.04, "ggml": 2.0, "pytorch": math.nan})
        self.assertEqual(set(row["parties"]), {"switchyard", "ncnn", "pytorch"})
        self.assertIn("something else", row["missing"]["ggml"])
        row["kind"] = "attention"
        compare.check_means(row, {"switchyard": 1.0, "ncnn": 1.2})
        self.assertIn("ncnn", row["parties"])

    def test_work_is_counted(self):
        by_kind = {c.kind: c for c in cases.CASES}
        self.assertEqual(by_kind["matmul"].flops, 2 * 1024 ** 3)
        self.assertEqual(by_kind["softmax"].bytes, 8 * 8192 * 1024)
        for case in cases.CASES:
            self.assertGreater(case.bytes if case.roof == "triad" else case.flops, 0, case.name)


class Table(unittest.TestCase):
    def result(self):
        row = row_of(switchyard=0.002, ncnn=0.05, pytorch=0.001)
        row["goals"], row["missing"] = {"ncnn": 2}, {"ggml": "peers_ggml: No such file or directory"}
        return {"date": "2026-11-23", "machine": "2 cores", "threads": 2, "clock": "wall", "rounds": 7, "load_before": 1.0, "load_after": 2.0,
                "versions": {"switchyard": "device: x", "ggml": ""}, "rows": [row]}

    def test_row(self):
        text = report.table(self.result())
        self.assertIn("| work | 2.0 ms | - | 25 x (n=1) | - | 0.50 x (n=1) | - | 2 x ncnn: yes |", text)
        self.assertIn("2 threads each, wall time: device: x.", text)
        self.assertIn("No figure of ggml (any row): peers_ggml: No such file or directory.", text)

    def test_rows_of_several_runs(self):
        first, second = self.result(), self.result()
        first["rows"][0]["name"], second["versions"] = cases.CASES[1].name, {"switchyard": "device: y", "ggml": "ggml 1"}
        second["rows"].append(dict(second["rows"][0], name=cases.CASES[0].name))
        both = compare.joined([first, second])
        self.assertEqual([row["name"] for row in both["rows"]], [cases.CASES[0].name, cases.CASES[1].name, "work"])
        self.assertEqual(both["versions"], {"switchyard": "device: x", "ggml": "ggml 1"})

    def test_only_what_is_between_the_markers_changes(self):
        text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        once = report.inserted(text, "new")
        self.assertEqual(once, f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n")
        self.assertEqual(report.inserted(once, "new"), once)
        for broken in ("no markers", f"{report.BEGIN} only", f"{report.END} {report.BEGIN}"):
            with self.assertRaises(ValueError):
                report.inserted(broken, "new")


ECHO = "print('fake 1', flush=True)\nwhile line := input(): print({}, flush=True)"


def fake(answer, **more):
    return Party("fake", [sys.executable, "-c", ECHO.format(answer)], **more)


class Parties(unittest.TestCase):
    def test_answers(self):
        party = fake("'ok 0.5' if line[0] == 'm' else '0.25'")
        self.assertEqual(party.make("matmul", 1, (2, 3)), 0.5)
        self.assertEqual((party.time(), party.version), (0.25, "fake 1"))
        party.stop()

    def test_why_not(self):
        party = fake("'cannot lift this'")
        with self.assertRaisesRegex(Gone, "^lift this$"):
            party.make("matmul", 1, ())
        party.stop()

    def test_crash_then_again(self):
        party = fake("exit('out of paint') if line == 'time' else 'ok 1'")
        party.make("matmul", 1, ())
        with self.assertRaisesRegex(Gone, "exit status 1: out of paint"):
            party.time()
        self.assertEqual(party.make("matmul", 1, ()), 1)
        party.stop()

    def test_no_answer(self):
        party = fake("__import__('time').sleep(60)", seconds=2)
        with self.assertRaisesRegex(Gone, "no answer in 2 s"):
            party.time()

    def test_no_program(self):
        with self.assertRaisesRegex(Gone, "/nowhere/program: No such file"):
            Party("fake", ["/nowhere/program"]).time()

    def test_a_row_of_parties(self):
        class Arguments:
            rounds, budget = 3, 20
        own, slow = fake("'ok 1' if line[0] == 'm' else '0.5'"), fake("'ok 1' if line[0] == 'm' else '2.0'")
        gone = Party("ggml", ["/nowhere/program"])
        own.name, slow.name = "switchyard", "ncnn"
        case = cases.CASES[0]
        row = compare.measure(case, [own, slow, gone], Arguments)
        self.assertEqual(row["parties"]["switchyard"]["seconds"], [0.5] * 3)
        self.assertEqual(row["parties"]["switchyard"]["repeats"], case.repeats)
        self.assertEqual(row["parties"]["ncnn"]["repeats"], 1)  # above a second: one at a time
        self.assertEqual(report.ratio(row, "ncnn"), 4.0)
        self.assertIn("No such file", row["missing"]["ggml"])
        own.stop(), slow.stop()

    @unittest.skipUnless(os.environ.get("SWITCHYARD_BENCH"), "SWITCHYARD_BENCH names no program")
    def test_our_own(self):
        party = Party("switchyard", [os.environ["SWITCHYARD_BENCH"], "peers"])
        try:
            self.assertAlmostEqual(party.make("softmax", 2, (8, 64)), 1 / 64, 5)
        except Gone as why:
            if "no usable Vulkan device" in str(why):
                self.skipTest(str(why))
            raise
        self.assertGreater(party.time(), 0)
        for wrong in (("softmax", 1, (8,)), ("nothing", 1, (8,)), ("grouped", 1, (4, 9, 8, 8, 8))):
            with self.assertRaises(Gone):
                party.make(*wrong)
        self.assertGreater(party.make("fma", 1, ()), 1e6)
        party.stop()


class Headers(unittest.TestCase):
    def test_version(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(get_ggml.header_version(folder), (0, 0, 0))
            os.mkdir(f"{folder}/vulkan")
            with open(f"{folder}/vulkan/vulkan_core.h", "w") as file:
                file.write("#define VK_HEADER_VERSION 239\n#define VK_HEADER_VERSION_COMPLETE "
                           "VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)\n")
            self.assertEqual(get_ggml.header_version(folder), (1, 3, 239))
            self.assertLess(get_ggml.header_version(folder), get_ggml.LEAST_VULKAN)


if __name__ == "__main__":
    unittest.main()
