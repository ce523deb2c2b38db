"""Trains with each learning-rate policy that PyTorch has too, and compares the rates. Usage: schedules.py TRAINER"""
import json
import math
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import torch
from torch.optim import lr_scheduler

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 8 dim: 4 } shape { dim: 8 } data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
ITERATIONS = 40
SOLVER = f"""
net: "net.prototxt" base_lr: 0.1 max_iter: {ITERATIONS} display: 1 random_seed: 1 snapshot_after_train: false
solver_mode: CPU momentum: 0.9
"""
PLATEAU = dict(factor=0.5, patience=1, threshold=0.002, threshold_mode="abs", cooldown=1, min_lr=0.01)

CASES = {
    "lr_policy: 'step' gamma: 0.5 stepsize: 7": lambda o: lr_scheduler.StepLR(o, 7, 0.5),
    "lr_policy: 'exp' gamma: 0.9": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "lr_policy: 'multistep' gamma: 0.3 stepvalue: [5, 20]": lambda o: lr_scheduler.MultiStepLR(o, [5, 20], 0.3),
    "lr_policy: 'poly' power: 1.5": lambda o: lr_scheduler.PolynomialLR(o, ITERATIONS, 1.5),
    "lr_policy: 'cosine' final_lr: 0.01": lambda o: lr_scheduler.CosineAnnealingLR(o, ITERATIONS, 0.01),
    "lr_policy: 'cosine' final_lr: 0.01 cycles: 4":
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, ITERATIONS // 4, eta_min=0.01),
    "lr_policy: 'linear' final_lr: 0.02": lambda o: lr_scheduler.LinearLR(o, 1, 0.2, ITERATIONS),
    "lr_policy: 'one_cycle' final_lr: 4e-7": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=ITERATIONS),
    "lr_policy: 'fixed' warmup_iter: 10 warmup_start: 0.2": lambda o: lr_scheduler.LinearLR(o, 0.2, 1, 10),
    "lr_policy: 'plateau' gamma: 0.5 stepsize: 1 final_lr: 0.01 plateau { patience: 1 min_delta: 0.002 cooldown: 1 }":
        lambda o: lr_scheduler.ReduceLROnPlateau(o, **PLATEAU),
}


def values_of(trainer, folder, fields):
    """The training losses and the rates of all iterations."""
    with open(os.path.join(folder, "solver.prototxt"), "w") as file:
        file.write(SOLVER + fields)
    subprocess.run([trainer, "train", "--solver=solver.prototxt", "--run_dir=run"], cwd=folder, check=True,
                   stderr=subprocess.DEVNULL)
    with open(os.path.join(folder, "run", "metrics.jsonl")) as file:
        lines = [line for line in map(json.loads, file) if line.get("name") == "smoothed_loss"]
    return [line["value"] for line in lines][:ITERATIONS], [line["lr"] for line in lines][:ITERATIONS]


def main(trainer):
    trainer = os.path.abspath(trainer)
    for fields, make in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "net.prototxt"), "w") as file:
                file.write(NET)
            losses, rates = values_of(trainer, folder, fields)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        schedule = make(optimizer)
        assert len(rates) == ITERATIONS, (fields, len(rates))
        for iteration, (loss, rate) in enumerate(zip(losses, rates)):
            expected = optimizer.param_groups[0]["lr"]
            assert math.isclose(rate, expected, rel_tol=1e-5), (fields, iteration, rate, expected)
            optimizer.step()
            schedule.step(*([loss] if "plateau" in fields else []))
        print(f"{fields}: {ITERATIONS} rates agree")


main(sys.argv[1])
