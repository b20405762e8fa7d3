#!/usr/bin/env python3
"""Switchyard beside its peers: same machine, same shapes, same precision, one run.

What: every party is a process of its own. For each piece of work all parties make it, a first time untimed; then rounds go through
the parties in turn, so that what the machine does meanwhile hits all alike. On the Vulkan driver: Switchyard, ncnn, ggml;
on the processor itself: PyTorch and ONNX Runtime; all with as many threads as the machine has. A party that cannot do
something has no figure and the reason is written down. Results: JSON, and a table in README.md.

    pip install -r tools/peers/requirements.txt
    python3 tools/peers/get_ggml.py build/peers             # optional, half an hour: without it ggml has no figures
    python3 tools/peers/compare.py --ggml build/peers/peers_ggml --json peers.json --readme README.md
    python3 tools/peers/compare.py --case matmul --case conv
    python3 tools/peers/compare.py --from peers.json --readme README.md      # the table again, without measuring
"""
import argparse
import contextlib
import datetime
import fcntl
import json
import math
import os
import platform
import statistics
import sys
import time

import cases
import report
from party import Gone, Party

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAUSE = 0.05  # seconds between samples, for threads that spin to go to sleep


def parties_of(a):
    """In the order of a round. The roofs are a Switchyard process of their own that runs the driver's plainest kernels."""
    own = [a.bench, "peers"]
    threads = {"OMP_NUM_THREADS": str(a.threads), "LP_NUM_THREADS": str(a.threads)}
    if a.processor_time:
        threads["SY_BENCH_PROCESSOR_TIME"] = "1"
    vulkan = threads | ({"VK_ICD_FILENAMES": a.driver} if a.driver else {})
    made = {"switchyard": Party("switchyard", own, vulkan, a.wait), "roof": Party("roof", own, vulkan, a.wait),
            "ncnn": Party("ncnn", [sys.executable, f"{HERE}/party_ncnn.py"], vulkan, a.wait),
            "ggml": Party("ggml", [a.ggml or f"{ROOT}/build/peers/peers_ggml"],
                          vulkan | {"GGML_VK_VISIBLE_DEVICES": "0"}, a.wait),
            "pytorch": Party("pytorch", [sys.executable, f"{HERE}/party_torch.py"], threads, a.wait),
            "onnxruntime": Party("onnxruntime", [sys.executable, f"{HERE}/party_onnx.py"], threads, a.wait)}
    return {name: party for name, party in made.items() if name not in a.without}


def prepare(case, party):
    """(mean of |output|, or what a roof does at a time; repeats): a party that takes seconds for one is not asked for several."""
    if party.name == "roof":
        if case.roof == "none":
            raise Gone("a step has no single roof; see switchyard_bench model")
        return party.make(case.roof, 1, ()), 1
    begun = time.monotonic()
    mean = party.make(case.kind, 1, case.numbers)
    slow = time.monotonic() - begun > 20 or party.time() > 1
    repeats = 1 if slow else case.repeats
    if repeats > 1:
        party.make(case.kind, repeats, case.numbers)
    return mean, repeats


def measure(case, parties, a):
    """One row: the seconds of each party's samples, and why others have none."""
    row = {"name": case.name, "kind": case.kind, "numbers": list(case.numbers), "flops": case.flops, "bytes": case.bytes,
           "goals": case.goals, "roof": case.roof, "parties": {}, "missing": {}}
    ready, spent, means = [], {}, {}
    for party in parties:
        if case.kind == "model" and party.name in ("ncnn", "ggml"):
            row["missing"][party.name] = "does not run these networks"
            continue
        try:
            answer, repeats = prepare(case, party)
            ready.append(party)
            spent[party.name] = 0
            row["parties"][party.name] = {"seconds": [], "repeats": repeats}
            if party.name == "roof":
                row["parties"]["roof"]["amount"] = answer
            else:
                means[party.name] = answer
        except Gone as why:
            row["missing"][party.name] = str(why)
    for _ in range(a.rounds):
        for party in list(ready):
            seconds = row["parties"][party.name]["seconds"]
            if spent[party.name] > a.budget:
                continue
            time.sleep(PAUSE)
            before = time.monotonic()
            try:
                seconds.append(party.time())
            except Gone as why:
                row["missing"][party.name] = str(why)
                del row["parties"][party.name]
                ready.remove(party)
            spent[party.name] += time.monotonic() - before
    check_means(row, means)
    for figures in row["parties"].values():
        figures |= summary(figures["seconds"])
    return row


def check_means(row, means):
    """A party whose outputs differ in size from ours did other work: its figure is dropped. Noise differs from party to party, and
    the mean of few independent outputs (attention to noise) with it."""
    own, bound = means.get("switchyard", math.nan), 0.4 if row["kind"] == "attention" else 0.05
    for name, mean in means.items():
        if abs(mean - own) > bound * own:  # never true where one of them is nan
            row["parties"].pop(name, None)
            row["missing"][name] = f"computed something else: mean output {mean:.4g}, ours {own:.4g}"


def summary(seconds):
    """Median, and the spread: half of what lies between the quartiles, as a share of the median."""
    middle = statistics.median(seconds)
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else (middle,) * 3
    return {"median": middle, "best": min(seconds), "spread": (high - low) / 2 / middle if middle else 0, "n": len(seconds)}


@contextlib.contextmanager
def locked(path):
    """Benchmarks that share a machine can agree on a file to hold while they measure."""
    with open(path, "a") if path else contextlib.nullcontext() as file:
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load():
    return os.getloadavg()[0]


def run(a):
    parties = parties_of(a)
    chosen = [c for c in cases.CASES + cases.models(os.path.join(ROOT, "models"))
              if not a.cases or any(k in c.name or k == c.kind for k in a.cases)]
    if not chosen:
        sys.exit(f"compare.py: no case is called {' or '.join(a.cases)}; there are " + ", ".join(c.name for c in cases.CASES))
    result = {"date": datetime.date.today().isoformat(), "machine": machine(), "threads": a.threads, "clock": "processor" if a.processor_time else "wall", "rounds": a.rounds,
              "load_before": load(), "rows": []}
    try:
        for case in chosen:
            with locked(a.lock):
                row = measure(case, parties.values(), a)
            result["rows"].append(row)
            result["load_after"] = load()
            result["versions"] = {name: party.version for name, party in parties.items() if name != "roof"}
            if a.json:
                replace(a.json, json.dumps(result, indent=1) + "\n")  # a run that is ended early leaves what it has
            print(report.line(row), flush=True)
    finally:
        for party in parties.values():
            party.stop()
    return result


def joined(results):
    """The rows of several runs under the first one's head; of rows in several, the first."""
    result = results[0]
    for other in results[1:]:
        names = {row["name"] for row in result["rows"]}
        result["rows"] += [row for row in other["rows"] if row["name"] not in names]
        for name, version in other["versions"].items():
            result["versions"][name] = result["versions"].get(name) or version
        result["load_after"] = other["load_after"]
    order = [case.name for case in cases.CASES]
    result["rows"].sort(key=lambda row: order.index(row["name"]) if row["name"] in order else len(order))
    return result


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, {platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())}"


def replace(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--case", dest="cases", action="append", default=[], help="part of a name, or a kind; any number of times")
    args.add_argument("--rounds", type=int, default=7)
    args.add_argument("--budget", type=float, default=20, help="seconds of samples after which a slow party skips rounds (it has one at least)")
    args.add_argument("--wait", type=float, default=300, help="seconds to wait for one answer of a party")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--processor-time", action="store_true",
                      help="one thread each, timed by the processor time it takes: on a machine that is busy with other things")
    args.add_argument("--bench", default=f"{ROOT}/build/switchyard_bench")
    args.add_argument("--ggml", help="what get_ggml.py built")
    args.add_argument("--driver", help="JSON file of the Vulkan driver for all parties that use one")
    args.add_argument("--without", action="append", default=[], help="a party to leave out")
    args.add_argument("--lock", help="a file to hold (flock) during each piece of work, on a machine where others measure too")
    args.add_argument("--json", help="where to write all samples")
    args.add_argument("--from", dest="sources", action="append",
                      help="JSON of a run before, instead of measuring; several times: rows of several runs")
    args.add_argument("--readme", help="file whose table between the markers is replaced")
    a = args.parse_args()
    a.threads = 1 if a.processor_time else a.threads
    if a.sources:
        result = []
        for source in a.sources:
            with open(source) as file:
                result.append(json.load(file))
        result = joined(result)
    else:
        result = run(a)
    if a.readme:
        with open(a.readme) as file:
            text = report.inserted(file.read(), report.table(result))
        replace(a.readme, text)


if __name__ == "__main__":
    main()
