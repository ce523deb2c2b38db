"""Trains a small net for 50 iterations with each solver type, here and in PyTorch or timm. Usage: solvers.py TRAINER"""
import glob
import importlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import types

sys.path.pop(0)
import h5py
import numpy
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# The optimizers of timm without its models, which need other packages.
for package in ("timm", "timm.optim", "timm.utils"):
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = [os.path.join(sysconfig.get_path("purelib"), *package.split("."))]
timm = {name: importlib.import_module(f"timm.{module}") for name, module in
        [("Lion", "optim.lion"), ("Lamb", "optim.lamb"), ("Lars", "optim.lars"), ("SGDW", "optim.sgdw"), ("agc", "utils.agc")]}
BETAS = dict(betas=(0.9, 0.99))
BETAS_TEXT = "momentum: 0.9 momentum2: 0.99"


def clip(parameters):
    timm["agc"].adaptive_clip_grad(parameters, 0.05)
    torch.nn.utils.clip_grad_value_(parameters, 0.01)


def sgd(groups):
    return torch.optim.SGD(groups, momentum=0.9)


# Fields of the solver, the optimizer, the clipping, the average, and whether iteration t belongs to the average.
CASES = {
    "AdamW": (BETAS_TEXT, 0.01, 0.1, lambda g: torch.optim.AdamW(g, **BETAS)),
    "NAdam": (BETAS_TEXT, 0.01, 0.05, lambda g: torch.optim.NAdam(g, **BETAS)),
    "RAdam": (BETAS_TEXT, 0.01, 0.05, lambda g: torch.optim.RAdam(g, **BETAS)),
    "Adam": (BETAS_TEXT + " clip_gradients: 0.2", 0.01, 0, lambda g: torch.optim.Adam(g, **BETAS),
             lambda p: torch.nn.utils.clip_grad_norm_(p, 0.2)),
    "Lion": (BETAS_TEXT, 0.001, 0.1, lambda g: timm["Lion"].Lion(g, **BETAS)),
    "LAMB": (BETAS_TEXT + " delta: 1e-6", 0.01, 0.1, lambda g: timm["Lamb"].Lamb(g, max_grad_norm=None, **BETAS)),
    "LARS": ("momentum: 0.9 trust_coefficient: 0.02", 0.5, 0.05,
             lambda g: timm["Lars"].Lars(g, momentum=0.9, trust_coeff=0.02)),
    "SGDW": ("momentum: 0.9", 0.05, 0.1, lambda g: timm["SGDW"].SGDW(g, momentum=0.9)),
    "SGD clipped": ("momentum: 0.9 clip_adaptive: 0.05 clip_value: 0.01", 0.05, 0.01, sgd, clip),
    "SGD ema": ("momentum: 0.9 ema { decay: 0.9 warmup: 0 }", 0.05, 0.01, sgd, None, "ema"),
    "SGD swa": ("momentum: 0.9 swa { start: 20 interval: 7 }", 0.05, 0.01, sgd, None, "swa"),
}


def net_text(weights):
    blob = lambda values: "blobs { shape { %s } data: [%s] }" % (
        " ".join(f"dim: {d}" for d in values.shape), ", ".join(f"{v:.9g}" for v in values.flatten()))
    return f"""layer {{ name: "data" type: "HDF5Data" top: "x" top: "label"
          hdf5_data_param {{ source: "list.txt" batch_size: 32 }} }}
        layer {{ name: "ip1" type: "InnerProduct" bottom: "x" top: "h" inner_product_param {{ num_output: 6 }}
          {blob(weights[0])} {blob(weights[1])} }}
        layer {{ name: "tanh" type: "TanH" bottom: "h" top: "h" }}
        layer {{ name: "ip2" type: "InnerProduct" bottom: "h" top: "y" inner_product_param {{ num_output: 3 }}
          {blob(weights[2])} {blob(weights[3])} }}
        layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }}"""


def ours(trainer, folder, name, fields, rate, decay):
    with open(os.path.join(folder, "solver.prototxt"), "w") as solver:
        solver.write(f"""net: "net.prototxt" solver_mode: CPU max_iter: 50 random_seed: 1 type: "{name.split()[0]}"
          base_lr: {rate} lr_policy: "fixed" weight_decay: {decay} {fields} param_rule {{ pattern: "*/1" decay_mult: 0 }}
          snapshot_prefix: "s" snapshot_format: HDF5""")
    for old in glob.glob(os.path.join(folder, "s_iter*")):
        os.remove(old)
    subprocess.run([trainer, "train", "--solver=solver.prototxt", "--run_dir="], cwd=folder, check=True, capture_output=True)
    average = glob.glob(os.path.join(folder, "s_iter_50_*.caffemodel.h5"))
    with h5py.File(average[0] if average else os.path.join(folder, "s_iter_50.caffemodel.h5")) as file:
        return [file[f"data/{layer}/{blob}"][()] for layer in ("ip1", "ip2") for blob in "01"]


class Net(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.blobs = torch.nn.ParameterList(torch.nn.Parameter(torch.tensor(w)) for w in weights)

    def forward(self, x):
        return functional.linear(torch.tanh(functional.linear(x, self.blobs[0], self.blobs[1])), self.blobs[2], self.blobs[3])


def theirs(x, labels, weights, rate, decay, make, clipping=None, average=None):
    net = Net(weights)
    optimizer = make([{"params": [net.blobs[0], net.blobs[2]], "lr": rate, "weight_decay": decay},
                      {"params": [net.blobs[1], net.blobs[3]], "lr": rate, "weight_decay": 0.0}])
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9) if average == "ema" else None)
    if average == "ema":
        averaged.update_parameters(net)  # the first update copies the weights
    for t in range(1, 51):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), labels).backward()
        if clipping:
            clipping(list(net.parameters()))
        optimizer.step()
        if average == "ema" or (average == "swa" and t >= 20 and (t - 20) % 7 == 0):
            averaged.update_parameters(net)
    return [blob.detach().numpy() for blob in (averaged.module if average else net).blobs]


def main(trainer):
    trainer = os.path.abspath(trainer)
    random = numpy.random.default_rng(1)
    x = random.normal(size=(32, 5)).astype(numpy.float32)
    labels = random.integers(0, 3, 32)
    weights = [random.normal(0, 0.5, shape).astype(numpy.float32) for shape in [(6, 5), (6,), (3, 6), (3,)]]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(os.path.join(folder, "data.h5"), "w") as file:
            file["x"], file["label"] = x, labels.astype(numpy.float32)
        with open(os.path.join(folder, "list.txt"), "w") as listing:
            listing.write("data.h5\n")
        with open(os.path.join(folder, "net.prototxt"), "w") as net:
            net.write(net_text(weights))
        for name, (fields, rate, decay, *rest) in CASES.items():
            mine = ours(trainer, folder, name, fields, rate, decay)
            torchs = theirs(torch.tensor(x), torch.tensor(labels), weights, rate, decay, *rest)
            far = max(float(numpy.abs(a - b).max()) for a, b in zip(mine, torchs))
            moved = max(float(numpy.abs(a - b).max()) for a, b in zip(mine, weights))
            if not far < 2e-5 < moved:
                wrong.append(f"{name}: weights differ by {far:.2g} after 50 steps, and moved by {moved:.2g}")
    print("\n".join(wrong) or f"{len(CASES)} solvers agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
