"""The peer of tools/bench and tools/gpu_check: a net of the models in PyTorch, built from its prototxt.

usage: bench_peer.py time NET MODE PRECISION ITERATIONS
       bench_peer.py serve NET MODE PRECISION ITERATIONS [--device=cuda] [--batch=N]
       bench_peer.py peak PRECISION... [--device=cuda]
       bench_peer.py infer NET MODE PRECISION ITERATIONS
       bench_peer.py check NET TRAINER PRECISION

time prints the median milliseconds of forward, backward and the optimizer's step on random data, and the peak memory in
MiB. MODE: nchw, nhwc (channels-last) or compile (channels-last with torch.compile). infer times only the forward pass, with
running statistics, and also has the mode frozen (channels-last, traced and optimized for inference). PRECISION: fp32, or bf16
with autocast.

check trains one iteration on both sides from the same weights and data and prints the largest difference between their
steps of a blob, in the Euclidean norm and relative to the step. The exit code is 1 if it is more than rounding. In bf16 both
sides are compared with the peer's fp32 result: our distance to it may be at most twice that of the peer's bf16 result.

serve prints "ready" after the warm-up. For each line that it reads it prints the milliseconds of an iteration (the mean of
ITERATIONS iterations without a wait in between) and the peak memory in MiB: on a GPU the maximum that PyTorch allocated. It
has two more modes of torch.compile, max-autotune and reduce-overhead (channels-last), and one more precision, tf32. peak
prints for each precision the operations per second of a product of large matrices.

With RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, time measures one of several processes that train together
(DistributedDataParallel with Gloo).

The net is that of phase TRAIN with stage "bench"; DummyData gives the shapes of its data. OMP_NUM_THREADS sets the number
of threads; the default is the process's cores.
"""
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from torch import nn
from torch.nn import functional


def parse_prototxt(text):
    """Fields as {name: [value, ...]}; messages are dictionaries of the same form."""
    tokens = re.findall(r'#[^\n]*|"[^"]*"|\'[^\']*\'|[{}:]|[^\s{}:"\'#]+', text)
    tokens = [token for token in tokens if not token.startswith("#")]
    at = 0

    def value(token):
        if token[0] in "\"'":
            return token[1:-1]
        try:
            return int(token)
        except ValueError:
            pass
        try:
            return float(token)
        except ValueError:
            return {"true": True, "false": False}.get(token, token)

    def message():
        nonlocal at
        fields = {}
        while at < len(tokens) and tokens[at] != "}":
            name = tokens[at]
            at += 1
            if tokens[at] == ":":
                at += 1
            if tokens[at] == "{":
                at += 1
                item = message()
            else:
                item = value(tokens[at])
            at += 1
            fields.setdefault(name, []).append(item)
        return fields

    return message()


def is_included(layer):
    def matches(rule):
        return (rule.get("phase", ["TRAIN"])[0] == "TRAIN" and all(s == "bench" for s in rule.get("stage", []))
                and "bench" not in rule.get("not_stage", []))
    if "include" in layer:
        return any(matches(rule) for rule in layer["include"])
    return not any(matches(rule) for rule in layer.get("exclude", []))


def first(message, name, default=None):
    return message.get(name, [default])[0]


def pair(message, stem, default):
    """A window's height and width, from `stem`, or `stem`_h and `stem`_w."""
    short = "kernel" if stem == "kernel_size" else stem
    if short + "_h" in message:
        return first(message, short + "_h"), first(message, short + "_w")
    values = message.get(stem, [default])
    return (values[0], values[-1])


class Net(nn.Module):
    """Runs the layers in order; `parameters_of` maps a layer's blobs to parameters."""

    def __init__(self, path, dropout=True, batch=None):
        super().__init__()
        with open(path, encoding="utf-8") as file:
            self.layers = [layer for layer in parse_prototxt(file.read())["layer"] if is_included(layer)]
        self.dropout = dropout
        self.parameters_of, self.steps, self.groups = {}, [], {}
        self.children_list = nn.ModuleList()
        shapes = {}
        skip = set()
        for i, layer in enumerate(self.layers):
            if i in skip:
                continue
            kind, bottoms, tops = first(layer, "type"), layer.get("bottom", []), layer.get("top", [])
            if kind == "DummyData":
                dims = [shape["dim"] for shape in layer["dummy_data_param"][0]["shape"]]
                shapes.update(zip(tops, dims))
                self.data_name, self.label_name = tops
                self.data_shape, self.label_shape, self.data_layer = dims[0], dims[1], first(layer, "name")
                continue
            if kind == "Accuracy":
                continue
            scale = None
            if kind == "BatchNorm":
                # PyTorch has one module for BatchNorm and Scale.
                follower = self.layers[i + 1]
                if first(follower, "type") == "Scale" and follower["bottom"] == tops:
                    scale = follower
                    skip.add(i + 1)
                    tops = follower["top"]
            function = self.build(kind, layer, scale, [shapes[b] for b in bottoms])
            with torch.no_grad():
                inputs = [torch.zeros(shapes[b], dtype=torch.long if b == self.label_name else None) for b in bottoms]
                shapes[tops[0]] = list(function(*inputs).shape)
            loss_weight = first(layer, "loss_weight", 1.0) if kind == "SoftmaxWithLoss" else None
            self.steps.append((function, bottoms, tops[0], loss_weight))
        if batch:
            self.data_shape, self.label_shape = [batch, *self.data_shape[1:]], [batch, *self.label_shape[1:]]

    def learn(self, layer, parameters):
        name = first(layer, "name")
        self.parameters_of[name] = parameters
        specs = layer.get("param", [])
        for i, parameter in enumerate(parameters):
            spec = specs[i] if i < len(specs) else {}
            key = (first(spec, "lr_mult", 1.0), first(spec, "decay_mult", 1.0))
            self.groups.setdefault(key, []).append(parameter)

    def module(self, module):
        self.children_list.append(module)
        return module

    def build(self, kind, layer, scale, shapes):
        if kind == "Convolution":
            p = layer["convolution_param"][0]
            bias = first(p, "bias_term", True)
            conv = self.module(nn.Conv2d(shapes[0][1], first(p, "num_output"), pair(p, "kernel_size", 1), pair(p, "stride", 1),
                                         pair(p, "pad", 0), pair(p, "dilation", 1), first(p, "group", 1), bias))
            self.learn(layer, [conv.weight] + ([conv.bias] if bias else []))
            return conv
        if kind == "InnerProduct":
            p = layer["inner_product_param"][0]
            bias = first(p, "bias_term", True)
            inputs = int(numpy.prod(shapes[0][1:]))
            linear = self.module(nn.Linear(inputs, first(p, "num_output"), bias))
            self.learn(layer, [linear.weight] + ([linear.bias] if bias else []))
            return (lambda x: linear(x.flatten(1))) if len(shapes[0]) > 2 else linear
        if kind == "Pooling":
            p = layer["pooling_param"][0]
            if first(p, "global_pooling", False):
                return lambda x: functional.adaptive_avg_pool2d(x, 1)
            window = pair(p, "kernel_size", 1), pair(p, "stride", 1), pair(p, "pad", 0)
            if first(p, "pool", "MAX") == "MAX":
                return self.module(nn.MaxPool2d(*window, ceil_mode=True))
            return self.module(nn.AvgPool2d(*window, ceil_mode=True))
        if kind == "ReLU":
            return self.module(nn.ReLU(inplace=True))
        if kind == "LRN":
            p = layer.get("lrn_param", [{}])[0]
            size, alpha, beta = first(p, "local_size", 5), first(p, "alpha", 1.0), first(p, "beta", 0.75)
            if first(p, "norm_region", "ACROSS_CHANNELS") == "WITHIN_CHANNEL":
                return lambda x: x * (1 + alpha * functional.avg_pool2d(x * x, size, 1, size // 2)).pow(-beta)
            return self.module(nn.LocalResponseNorm(size, alpha, beta, first(p, "k", 1.0)))
        if kind == "BatchNorm":
            p = layer.get("batch_norm_param", [{}])[0]
            norm = self.module(nn.BatchNorm2d(shapes[0][1], first(p, "eps", 1e-5), 1 - first(p, "moving_average_fraction", 0.999),
                                              affine=scale is not None))
            if scale is not None:
                self.learn(scale, [norm.weight, norm.bias])
            return norm
        if kind == "Eltwise":
            return torch.add
        if kind == "Concat":
            return lambda *x: torch.cat(x, 1)
        if kind == "Dropout":
            ratio = first(layer.get("dropout_param", [{}])[0], "dropout_ratio", 0.5)
            return self.module(nn.Dropout(ratio)) if self.dropout else lambda x: x
        if kind == "SoftmaxWithLoss":
            return lambda x, label: functional.cross_entropy(x.flatten(1), label)
        raise SystemExit(f"bench_peer.py does not know the layer type {kind}")

    def forward(self, data, label):
        blobs, loss = {self.data_name: data, self.label_name: label}, 0
        for function, bottoms, top, loss_weight in self.steps:
            blobs[top] = function(*[blobs[bottom] for bottom in bottoms])
            if loss_weight is not None:
                loss = loss + loss_weight * blobs[top]
        return loss

    def optimizer(self, rate):
        groups = [{"params": parameters, "lr": rate * lr, "weight_decay": 0.0005 * decay}
                  for (lr, decay), parameters in self.groups.items() if lr != 0]
        # Since 2.4 one kernel updates all parameters.
        fused = {"fused": True} if tuple(int(n) for n in torch.__version__.split(".")[:2]) >= (2, 4) else {}
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, **fused)


def infer(path, mode, precision, iterations):
    net = Net(path).eval()
    data, label = torch.randn(net.data_shape), torch.ones(net.label_shape, dtype=torch.long)
    if mode != "nchw":
        net, data = net.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    times = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=mode != "frozen"):
        run = net
        if mode == "compile":
            run = torch.compile(net)
        elif mode == "frozen":
            run = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, (data, label))))
        for i in range(iterations + 3):
            start = time.perf_counter()
            run(data, label)
            if i >= 3:
                times.append(1e3 * (time.perf_counter() - start))
    print(f"{statistics.median(times):.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def training(path, mode, precision, device="cpu", batch=None):
    """A function that trains one iteration."""
    net = Net(path, batch=batch).to(device)
    data = torch.randn(net.data_shape, device=device)
    label = torch.ones(net.label_shape, dtype=torch.long, device=device)
    if mode != "nchw":
        net, data = net.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = net.optimizer(0.001)
    run = net
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.init_process_group("gloo")
        run = nn.parallel.DistributedDataParallel(net)
    if mode == "compile":
        run = torch.compile(run)
    elif mode not in ("nchw", "nhwc"):
        run = torch.compile(run, mode=mode)

    def iteration():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = run(data, label)
        loss.backward()
        optimizer.step()

    return iteration


def measure(path, mode, precision, iterations):
    iteration = training(path, mode, precision)
    times = []
    for i in range(iterations + 3):
        start = time.perf_counter()
        iteration()
        if i >= 3:
            times.append(1e3 * (time.perf_counter() - start))
    print(f"{statistics.median(times):.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def prepare(precision, device):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def milliseconds_of(iteration, iterations, synchronize):
    synchronize()
    start = time.perf_counter()
    for _ in range(iterations):
        iteration()
    synchronize()
    return 1e3 * (time.perf_counter() - start) / iterations


def serve(path, mode, precision, iterations, device, batch):
    synchronize = prepare(precision, device)
    iteration = training(path, mode, precision, device, batch)
    milliseconds_of(iteration, 5, synchronize)
    print("ready", flush=True)
    for _ in sys.stdin:
        milliseconds = milliseconds_of(iteration, iterations, synchronize)
        mib = (torch.cuda.max_memory_allocated() / 2**20 if device == "cuda"
               else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(f"{milliseconds:.3f} {mib:.0f}", flush=True)


def peak(precision, device):
    synchronize = prepare(precision, device)
    side = 8192 if device == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if precision == "bf16" else None) for _ in range(2))
    milliseconds_of(lambda: a @ b, 3, synchronize)
    print(f"{precision} {2 * side**3 / milliseconds_of(lambda: a @ b, 20, synchronize) * 1e3:.4g}", flush=True)


def check(path, trainer, precision):
    import h5py

    net = Net(path, dropout=False)
    with tempfile.TemporaryDirectory() as folder:
        def run(*words):
            done = subprocess.run([trainer, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(done.stdout[-2000:])

        def weights(iteration):
            blobs = {}
            with h5py.File(f"{folder}/x_iter_{iteration}.caffemodel.h5") as file:
                for name in net.parameters_of:
                    blobs[name] = [numpy.array(file[f"data/{name}/{i}"]) for i in range(len(net.parameters_of[name]))]
            return blobs

        rng = numpy.random.default_rng(1)
        data = rng.standard_normal(net.data_shape).astype("float32")
        label = rng.integers(0, 10, net.label_shape).astype("float32")
        numpy.save(f"{folder}/data.npy", data)
        numpy.save(f"{folder}/label.npy", label)
        run("convert", "hdf5", f"{net.data_name}={folder}/data.npy", f"{net.label_name}={folder}/label.npy", f"{folder}/data.h5")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for layer in net.layers:
            if first(layer, "type") == "Dropout":
                text = re.sub(r"dropout_ratio\s*:\s*[0-9.]+", "dropout_ratio: 0", text)
        # The stage removes the net's own data layers; this layer replaces them.
        with open(f"{folder}/net.prototxt", "w", encoding="utf-8") as file:
            file.write(f"""layer {{ name: "bench_check" type: "HDF5Data" top: "{net.data_name}" top: "{net.label_name}"
              hdf5_data_param {{ source: "{folder}/data.h5.txt" batch_size: {net.data_shape[0]} }} }}\n{without_data(text)}""")
        with open(f"{folder}/solver.prototxt", "w", encoding="utf-8") as file:
            file.write(f"""net: "{folder}/net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
              random_seed: 1 snapshot_format: HDF5 snapshot_prefix: "{folder}/x" max_iter: 0 train_state {{ stage: "bench" }}""")
        run("train", f"--solver={folder}/solver.prototxt", "--run_dir=", "--cpu")
        before = weights(0)
        run("train", f"--solver={folder}/solver.prototxt", "--run_dir=", "--cpu", "--set", "max_iter=1",
            f"--weights={folder}/x_iter_0.caffemodel.h5", f"--precision={precision}")
        ours = weights(1)

    def peer_weights(enabled):
        """The peer's weights after its iteration, in bf16 or fp32."""
        with torch.no_grad():
            for name, parameters in net.parameters_of.items():
                for parameter, blob in zip(parameters, before[name]):
                    parameter.copy_(torch.from_numpy(blob.reshape(parameter.shape)))
        optimizer = net.optimizer(0.01)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = net(torch.from_numpy(data), torch.from_numpy(label).long())
        loss.backward()
        optimizer.step()
        return {name: [p.detach().numpy().reshape(before[name][i].shape).copy() for i, p in enumerate(parameters)]
                for name, parameters in net.parameters_of.items()}

    def largest_difference(ours, theirs):
        worst, worst_name = 0.0, ""
        for name, blobs in before.items():
            for i, blob in enumerate(blobs):
                step = numpy.linalg.norm(theirs[name][i] - blob)
                # The gradient of scales before a normalization is only rounding.
                step = max(step, 1e-4 * numpy.linalg.norm(blob), 1e-9)
                difference = numpy.linalg.norm(theirs[name][i] - ours[name][i]) / step
                if difference > worst:
                    worst, worst_name = difference, f"{name} blob {i}"
        return worst, worst_name

    exact = peer_weights(False)
    worst, worst_name = largest_difference(ours, exact)
    text, limit = f"largest difference of an update {worst:.1e} ({worst_name})", 0.1
    if precision == "bf16":
        own = largest_difference(peer_weights(True), exact)[0]
        text, limit = f"{text}, the peer's in bf16 {own:.1e}", 2 * own
    print(text)
    sys.exit(0 if worst < limit else 1)


def without_data(text):
    """The text without its layers that read or make data."""
    kept, at = [], 0
    for match in re.finditer(r"(?m)^layer\s*\{", text):
        if match.start() < at:
            continue
        depth, end = 0, match.start()
        for end in range(match.start(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0 and text[end] == "}":
                break
        if re.search(r'type\s*:\s*"(DummyData|Data)"', text[match.start():end]):
            kept.append(text[at:match.start()])
            at = end + 1
    return "".join(kept) + text[at:]


def main():
    # PyTorch's default is the physical cores; both sides get the cores that the process may use.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
    torch.manual_seed(1)
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
    device = flags.get("device", "cpu")
    if words[0] == "check":
        check(*words[1:4])
    elif words[0] == "infer":
        infer(words[1], words[2], words[3], int(words[4]))
    elif words[0] == "serve":
        serve(words[1], words[2], words[3], int(words[4]), device, int(flags.get("batch", 0)))
    elif words[0] == "peak":
        for precision in words[1:]:
            peak(precision, device)
    else:
        measure(words[1], words[2], words[3], int(words[4]))


if __name__ == "__main__":
    main()
