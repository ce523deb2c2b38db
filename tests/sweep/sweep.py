#!/usr/bin/env python3
"""Compares trainer with Caffe on a folder of nets and solvers from other people.

    sweep.py TRAINER FOLDER             `summary --caffe`, `upgrade` and refusals against Caffe's own results
    sweep.py TRAINER FOLDER --damage    each file damaged in ten ways: no signal, no hang, a documented exit code
    --jobs N (2)   --seed N (1)   --only TEXT (files whose name contains it)
    --sanitized                         TRAINER is built with AddressSanitizer: it limits its own memory, and its reports
                                        count as failures

The folder holds (NAME is the path below files/ in all of them):
    files/NAME.prototxt
    index.tsv                      columns local_file, kind (solver or a net's), parses_bvlc (yes or no), fork_only
    reference_setup.tsv            columns file, phase (PHASE[+STAGE]), mode (plain, sub, upg), rc (0: Caffe accepts it),
                                   first_fatal_or_error
    expected/NAME[@PHASE[+STAGE]].shapes.tsv    layer, type, top, dims      (no suffix: TEST)
    expected/NAME[@PHASE[+STAGE]].params.tsv    layer, blob index, dims
    expected_sub/...               the same, and .inputs.tsv (layer, type, top, dims): nets with Input layers instead of
                                   their data layers
    upgraded/NAME.prototxt         the net as Caffe upgrades it

The output lists every disagreement; it ends with a table of counts and "N passed, N failed". Needs protoc.
"""
import argparse
import collections
import concurrent.futures
import csv
import os
import random
import re
import resource
import subprocess
import sys
import tempfile

MEMORY = 4 << 30
SECONDS = 20
DOCUMENTED = {0, 2, 3, 4, 5}
PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto", "trainer.proto")

Run = collections.namedtuple("Run", "code out err")


# AddressSanitizer reserves huge address ranges, so it limits resident memory itself.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99:allocator_may_return_null=1:hard_rss_limit_mb=%d" % (MEMORY >> 20),
             "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
sanitized = False


def limited():
    if not sanitized:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(words, folder=None, data=None):
    """Runs a command. The code is negative for a signal, and "hang" if the command does not end."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", LC_ALL="C", **(SANITIZED if sanitized else {}))
    try:
        done = subprocess.run(words, cwd=folder, input=data, capture_output=True, timeout=SECONDS, preexec_fn=limited,
                              env=environment, check=False)
    except subprocess.TimeoutExpired:
        return Run("hang", b"", b"")
    return Run(done.returncode, done.stdout, done.stderr)


def table(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def records(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def encoded(path, message):
    """The message as protoc encodes it: equal bytes for equal messages. None if it does not parse."""
    with open(path, "rb") as file:
        result = run(["protoc", "-I", os.path.dirname(PROTO), "--encode=caffe." + message, PROTO], data=file.read())
    return result.out if result.code == 0 else None


def first_message(result):
    lines = [line for line in result.err.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[0][:240] if lines else ""


def missing_types(result):
    return sorted(set(re.findall(r'unknown layer type "([^"]*)"', result.err.decode("utf-8", "replace"))))


class Corpus:
    def __init__(self, folder, only):
        self.folder = folder
        self.index = {row["local_file"][len("files/"):]: row for row in records(os.path.join(folder, "index.tsv"))
                      if only in row["local_file"]}
        self.runs = [row for row in records(os.path.join(folder, "reference_setup.tsv")) if row["file"] in self.index]

    def path(self, name):
        return os.path.join(self.folder, "files", name)

    def expectation(self, kind, name, phase, ending):
        suffix = "" if phase == "TEST" else "@" + phase
        path = os.path.join(self.folder, kind, name[:-len(".prototxt")] + suffix + ending)
        return table(path) if os.path.exists(path) else None


def summary_words(trainer, path, phase, shapes=()):
    phase, _, stage = phase.partition("+")
    words = [trainer, "summary", "--caffe", "--model=" + path, "--phase=" + phase]
    if stage:
        words.append("--stage=" + stage)
    return words + ["--shape=%s=%s" % shape for shape in shapes]


def first_difference(kind, ours, theirs):
    for i in range(max(len(ours), len(theirs))):
        mine, wanted = (rows[i] if i < len(rows) else None for rows in (ours, theirs))
        if mine != wanted:
            return "%s %d is %s, Caffe's %s" % (kind, i, mine, wanted)
    return ""


def compare_summary(result, shapes, params, inputs):
    replaced = {row[0] for row in inputs or []}
    lines = [line.split("\t") for line in result.out.decode("utf-8", "replace").splitlines()]
    tops = [line[1:] for line in lines if line[0] == "top"]
    tops = [[row[0], "Input" if row[0] in replaced else row[1]] + row[2:] for row in tops]
    blobs = [line[1:] for line in lines if line[0] == "blob"]
    return first_difference("top", tops, shapes) or first_difference("blob", blobs, params)


# Each check returns (category, outcome, detail): outcome "agrees", "type not supported", "accepts more" or "DISAGREES".

def check_accepted(trainer, corpus, row):
    kind = "expected" if row["mode"] == "plain" else "expected_sub"
    name, phase = row["file"], row["phase"]
    shapes, params, inputs = (corpus.expectation(kind, name, phase, ending)
                              for ending in (".shapes.tsv", ".params.tsv", ".inputs.tsv"))
    category = "summary of a net that Caffe accepts" if row["mode"] == "plain" else "summary with shapes given"
    if shapes is None:
        return None
    result = run(summary_words(trainer, corpus.path(name), phase, [(r[2], r[3]) for r in inputs or []]))
    if result.code == 0:
        wrong = compare_summary(result, shapes, params or [], inputs)
        return category, "DISAGREES" if wrong else "agrees", wrong
    types = missing_types(result)
    if result.code == 2 and types:
        return category, "type not supported", ", ".join(types)
    return category, "DISAGREES", "exit %s: %s" % (result.code, first_message(result))


def check_refused(trainer, corpus, row):
    category = "summary of a net that Caffe rejects"
    result = run(summary_words(trainer, corpus.path(row["file"]), row["phase"]))
    if result.code in (2, 3):
        if not result.err.strip():
            return category, "DISAGREES", "exit %s without a message" % result.code
        return category, "agrees (exit %d)" % result.code, ""
    if result.code == 0:
        return category, "accepts more", "Caffe: " + row["first_fatal_or_error"][:160]
    return category, "DISAGREES", "exit %s: %s" % (result.code, first_message(result))


def check_upgrade(trainer, corpus, name):
    row = corpus.index[name]
    solver = row["kind"] == "solver"
    message = "SolverParameter" if solver else "NetParameter"
    category = "upgrade of a solver" if solver else "upgrade of a net"
    wanted = os.path.join(corpus.folder, "upgraded", name)
    if not solver and os.path.exists(wanted):
        category = "upgrade against Caffe's"
    with tempfile.TemporaryDirectory() as folder:
        first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
        result = run([trainer, "upgrade", corpus.path(name), first])
        if row["parses_bvlc"] != "yes" and result.code == 2:
            return category, "agrees (rejected)", ""
        if result.code != 0:
            # A file that parses may still have no upgrade.
            refused = any(r["file"] == name and "upgrade_proto" in r["first_fatal_or_error"] for r in corpus.runs)
            if result.code == 2 and refused:
                return category, "agrees (rejected)", ""
            return category, "DISAGREES", "exit %s: %s" % (result.code, first_message(result))
        again = run([trainer, "upgrade", first, second, "--type=" + ("solver" if solver else "net")])
        with open(first, "rb") as a, open(second, "rb") as b:
            if again.code != 0 or b"already in latest" not in again.err or a.read() != b.read():
                return category, "DISAGREES", "a second upgrade changes it: exit %s %s" % (again.code, first_message(again))
        mine = encoded(first, message)
        if mine is None:
            return category, "DISAGREES", "protoc cannot parse the output"
        if category == "upgrade against Caffe's" and mine != encoded(wanted, message):
            return category, "DISAGREES", "the message differs from Caffe's"
    return category, "agrees" if row["parses_bvlc"] == "yes" else "accepts more", row["fork_only"][:160]


def checks(trainer, corpus):
    taken = {(row["file"], row["phase"]) for row in corpus.runs if row["mode"] == "sub" and row["rc"] == "0"}
    for row in corpus.runs:
        if row["mode"] in ("plain", "sub") and row["rc"] == "0":
            yield row["file"] + " " + row["phase"], check_accepted, row
        if row["mode"] == "plain" and row["rc"] != "0":
            # Includes nets that lack only their data: without shapes they have no summary.
            yield row["file"] + " " + row["phase"] + ("" if (row["file"], row["phase"]) not in taken else " (no data)"), \
                check_refused, row
    for name in corpus.index:
        yield name, check_upgrade, name


# Kinds of damage. Each function takes the bytes of the text and a source of random numbers.

NUMBER = re.compile(rb"(?<=[:\s])-?\d+(\.\d+)?(e-?\d+)?\b")
FIELD = re.compile(rb"[A-Za-z_]+(?=\s*[:{])")


def replaced(text, pattern, draw, make):
    found = list(pattern.finditer(text))
    if not found:
        return text[:len(text) // 2]
    where = draw.choice(found)
    return text[:where.start()] + make(where.group()) + text[where.end():]


def without_line(text, draw):
    lines = text.splitlines(True)
    if lines:
        del lines[draw.randrange(len(lines))]
    return b"".join(lines)


def with_line_twice(text, draw):
    lines = text.splitlines(True)
    if lines:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return b"".join(lines)


def flipped(text, draw):
    place = draw.randrange(max(len(text), 1))
    return text[:place] + bytes([(text[place] if text else 0) ^ (1 << draw.randrange(8))]) + text[place + 1:]


def renamed(word, draw):
    place = draw.randrange(len(word))
    return word[:place] + bytes([draw.choice(b"abcxyz_")]) + word[place + 1:]


DAMAGE = {
    "cut": lambda text, draw: text[:draw.randrange(max(len(text), 1))],
    "bit flipped": flipped,
    "line dropped": without_line,
    "line twice": with_line_twice,
    "number huge": lambda text, draw: replaced(text, NUMBER, draw, lambda old: b"987654321987654321"),
    "number 2^31-1": lambda text, draw: replaced(text, NUMBER, draw, lambda old: b"2147483647"),
    "number large": lambda text, draw: replaced(text, NUMBER, draw, lambda old: b"50000"),
    "number negative": lambda text, draw: replaced(text, NUMBER, draw, lambda old: b"-3"),
    "number 0": lambda text, draw: replaced(text, NUMBER, draw, lambda old: b"0"),
    "field renamed": lambda text, draw: replaced(text, FIELD, draw, lambda old: renamed(old, draw)),
}


def check_damaged(trainer, corpus, task):
    name, kind, seed = task
    draw = random.Random("%s %s %s" % (seed, name, kind))
    with open(corpus.path(name), "rb") as file:
        text = DAMAGE[kind](file.read(), draw)
    solver = corpus.index[name]["kind"] == "solver"
    wrong = []
    codes = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "damaged.prototxt")
        with open(path, "wb") as file:
            file.write(text)
        calls = [[trainer, "upgrade", path, os.path.join(folder, "out")]]
        if solver:
            calls.append([trainer, "train", "--solver=" + path, "--run_dir=" + os.path.join(folder, "run")])
        else:
            phase = draw.choice(["TRAIN", "TEST"])
            inputs = corpus.expectation("expected_sub", name, phase, ".inputs.tsv") or []
            shapes = ["--shape=%s=%s" % (row[2], row[3]) for row in inputs]
            calls.append(summary_words(trainer, path, phase) + shapes)
            calls.append([trainer, "summary", "--model=" + path, "--phase=" + phase] + shapes)
        for words in calls:
            result = run(words, folder)
            codes.append(str(result.code))
            if result.code not in DOCUMENTED:
                wrong.append("%s: exit %s: %s" % (words[1], result.code, first_message(result)))
            elif result.code != 0 and not result.err.strip():
                wrong.append("%s: exit %s without a message" % (words[1], result.code))
    if wrong:
        keep = os.path.join(tempfile.gettempdir(), "sweep_%s_%s" % (re.sub(r"\W", "_", name), re.sub(r"\W", "_", kind)))
        with open(keep, "wb") as file:
            file.write(text)
        return kind, "DISAGREES", "; ".join(wrong) + "; kept as " + keep
    return kind, "exits %s" % " ".join(codes), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer", type=os.path.abspath)
    parser.add_argument("folder", type=os.path.abspath)
    parser.add_argument("--damage", action="store_true")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    global sanitized
    sanitized = options.sanitized
    corpus = Corpus(options.folder, options.only)
    if options.damage:
        tasks = [("%s, %s" % (name, kind), check_damaged, (name, kind, options.seed))
                 for name in sorted(corpus.index) for kind in DAMAGE]
    else:
        tasks = list(checks(options.trainer, corpus))
    counts = collections.defaultdict(collections.Counter)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda task: (task[0], task[1](options.trainer, corpus, task[2])), tasks)
        for name, result in results:
            if result is None:
                continue
            category, outcome, detail = result
            counts[category][outcome] += 1
            passed, failed = passed + (outcome != "DISAGREES"), failed + (outcome == "DISAGREES")
            if detail:
                print("%-18s %s: %s" % (outcome, name, detail), flush=True)
    print()
    for category in sorted(counts):
        print(category)
        for outcome, number in sorted(counts[category].items()):
            print("    %6d  %s" % (number, outcome))
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
