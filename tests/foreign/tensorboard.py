"""Checks that TensorBoard reads the values of metrics.jsonl from a run's event file. Usage: tensorboard.py TRAINER"""
import json
import math
import os
import subprocess
import sys
import tempfile

# This file's folder comes first on the path; Python would import this file instead of the package.
sys.path.pop(0)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 8 dim: 4 } shape { dim: 8 } data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 40 display: 10
test_iter: 2 test_interval: 20 snapshot_prefix: "small" solver_mode: CPU
"""


def main(trainer):
    trainer = os.path.abspath(trainer)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("net.prototxt", NET), ("solver.prototxt", SOLVER)):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        subprocess.run([trainer, "train", "--solver=solver.prototxt", "--run_dir=run"], cwd=folder, check=True)
        run = os.path.join(folder, "run")
        with open(os.path.join(run, "metrics.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        wanted = {}
        for line in lines:
            if "value" in line:
                wanted.setdefault(line["split"] + "/" + line["name"], []).append((line["iteration"], line["value"]))
        events = EventAccumulator(run)
        events.Reload()
        assert {"train/loss", "test/loss"} <= set(wanted), wanted.keys()
        for tag, points in wanted.items():
            found = [(event.step, event.value) for event in events.Scalars(tag)]
            assert len(found) == len(points), (tag, found, points)
            for (step, value), (iteration, expected) in zip(found, points):
                assert step == iteration and math.isclose(value, expected, rel_tol=1e-6), (tag, step, value, expected)
        print(f"{sum(map(len, wanted.values()))} values of {len(wanted)} series agree")


main(sys.argv[1])
