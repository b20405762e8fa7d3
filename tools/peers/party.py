"""A party of the comparison: a process of its own that makes one piece of work at a time and times it when told.

What: `Party` is the comparing side of a process; `serve` the main loop of those written in Python. The lines between
them are those of tests/bench/bench_peers.c: a greeting with the party's version, then per line
  make KIND REPEATS NUMBER…  ->  ok MEAN | cannot WHY      (the mean of |output|, nan where parties cannot agree on one)
  time                       ->  seconds of one piece of work
Why: in processes of their own the parties share neither threads nor allocators, and a party that crashes is a
missing figure rather than the end of a run.
"""
import contextlib
import math
import os
import select
import subprocess
import sys
import tempfile
import time


class Gone(Exception):
    """The party cannot do this piece of work; the text says why."""


class Party:
    """`seconds`: the longest wait for an answer. The process starts at the first question and again after a crash."""

    def __init__(self, name, command, environment=None, seconds=240):
        self.name, self.command, self.seconds = name, command, seconds
        self.environment = {**os.environ, **(environment or {})}
        self.process = self.errors = None
        self.rest = b""
        self.version = ""

    def ask(self, line):
        """The answer to a line; Gone where there is none."""
        if not self.process:
            self.start()
        try:
            self.process.stdin.write((line + "\n").encode())
            self.process.stdin.flush()
        except OSError:
            raise self.gone() from None
        answer = self.read()
        if answer.startswith("cannot"):
            raise Gone(answer.removeprefix("cannot").strip())
        return answer

    def make(self, kind, repeats, numbers):
        """The mean of |output|."""
        return float(self.ask(" ".join(["make", kind, str(repeats), *map(str, numbers)])).split()[1])

    def time(self):
        return float(self.ask("time"))

    def start(self):
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.errors, env=self.environment)
        except OSError as error:
            self.errors.close()
            raise Gone(f"{self.command[0]}: {error.strerror}") from None
        self.rest = b""
        self.version = self.read()

    def read(self):
        end = time.monotonic() + self.seconds
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                self.stop(kill=True)
                raise Gone(f"no answer in {self.seconds} s")
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                raise self.gone()
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")

    def gone(self):
        """Why the process ended: its last words."""
        status = self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace").strip().splitlines()
        self.stop()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return Gone(f"ended with {how}" + (f": {words[-1]}" if words else ""))

    def stop(self, kill=False):
        if self.process:
            if kill:
                self.process.kill()
            with contextlib.suppress(OSError):  # a pipe that nobody reads any more
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.errors.close()
        self.process = None


def serve(version, make):
    """make(kind, repeats, numbers) gives (seconds_of_one(), mean of |output| or None), or raises Gone. Standard output
    is for answers alone: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(version, file=answers, flush=True)
    seconds = None
    for line in sys.stdin:
        words = line.split()
        if words[0] == "time":
            answer = f"{seconds():.9g}" if seconds else "cannot: nothing was made"
        else:
            seconds = None
            numbers = words[3:] if words[1] == "model" else [int(n) for n in words[3:]]
            try:
                seconds, mean = make(words[1], int(words[2]), numbers)
                answer = f"ok {math.nan if mean is None else mean:.6g}"
            except Gone as why:
                answer = f"cannot {why}"
        print(answer, file=answers, flush=True)


def clock():
    """Seconds; the processor time of the process where compare.py asks for it, which other work on the machine touches little."""
    return time.process_time() if "SY_BENCH_PROCESSOR_TIME" in os.environ else time.perf_counter()


def repeated(call, repeats):
    """Seconds of one call(), as the mean of some."""
    def seconds():
        before = clock()
        for _ in range(repeats):
            call()
        return (clock() - before) / repeats
    return seconds
