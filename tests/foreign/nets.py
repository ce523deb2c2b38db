"""Compares the nets of `trainer new` with torchvision, timm and PyTorch, with equal weights. Usage: nets.py TRAINER [NET...]

For each net: the results in phase TEST, and the parameters and statistics after one step of SGD on the same batch. A
difference is relative to the largest value of its tensor; that of the update is relative to the largest update. Deep nets
with the BatchNorm of two pictures amplify rounding, so the update of PyTorch in 32 bits, compared with 64 bits, is shown too.
"""
import copy
import os
import re
import subprocess
import sys
import tempfile

sys.path.pop(0)
import h5py
import numpy
import timm
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.nn import functional

BATCH, SIZE, RATE = 2, 64, 0.001
FORWARD, STEP = 1e-4, 1e-3  # the largest differences
RESIDUAL_BLOCKS = ("BasicBlock", "Bottleneck", "InvertedResidual", "MBConv")


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 20, 5), nn.Conv2d(20, 50, 5)
        self.ip1, self.ip2 = nn.Linear(800, 500), nn.Linear(500, 2)

    def forward(self, x):
        x = functional.max_pool2d(self.conv2(functional.max_pool2d(self.conv1(x), 2)), 2)
        return self.ip2(functional.relu(self.ip1(x.flatten(1))))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5, affine=False)
        self.fc1, self.fc2, self.fc3 = nn.Linear(5, 128), nn.Linear(128, 128), nn.Linear(128, 3)

    def forward(self, x):
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(self.norm(x))))))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 128, batch_first=True)
        self.fc = nn.Linear(128, 3)
        # trainer has one bias for each gate.
        nn.init.zeros_(self.lstm.bias_hh_l0)
        self.lstm.bias_hh_l0.requires_grad = False

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class DoubleConv(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(channels, 2 * channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.conv = DoubleConv(2 * channels, channels)

    def forward(self, x, skipped):
        return self.conv(torch.cat([skipped, self.up(x)], 1))


class UNet(nn.Module):
    """The modules of https://github.com/milesial/Pytorch-UNet."""

    def __init__(self):
        super().__init__()
        self.inc = DoubleConv(3, 64)
        self.down1, self.down2, self.down3, self.down4 = (Down(64 << i) for i in range(4))
        self.up1, self.up2, self.up3, self.up4 = (Up(512 >> i) for i in range(4))
        self.outc = nn.Module()
        self.outc.conv = nn.Conv2d(64, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        return self.outc.conv(self.up4(self.up3(self.up2(self.up1(self.down4(x4), x4), x3), x2), x1))


def vgg16():
    # trainer's net has no pooling to 7 x 7, which leaves the usual 224 x 224 pixels unchanged.
    model = torchvision.models.vgg16(num_classes=2, dropout=0)
    model.avgpool = nn.Identity()
    model.classifier[0] = nn.Linear(512 * (SIZE // 32) ** 2, 4096)
    return model


def of_torchvision(name, **options):
    return lambda: getattr(torchvision.models, name)(num_classes=2, **options)


NETS = {
    "resnet18": of_torchvision("resnet18"),
    "resnet34": of_torchvision("resnet34"),
    "resnet50": of_torchvision("resnet50"),
    "resnet101": of_torchvision("resnet101"),
    "resnext50": of_torchvision("resnext50_32x4d"),
    "vgg16": vgg16,
    "mobilenet_v1": lambda: timm.create_model("mobilenetv1_100", num_classes=2),
    "mobilenet_v2": of_torchvision("mobilenet_v2", dropout=0),
    "mobilenet_v3": of_torchvision("mobilenet_v3_large", dropout=0),
    "efficientnet_b0": of_torchvision("efficientnet_b0", dropout=0, stochastic_depth_prob=0),
    "squeezenet": of_torchvision("squeezenet1_1", dropout=0),
    "googlenet": of_torchvision("googlenet", aux_logits=False, init_weights=True, dropout=0),
    "densenet121": of_torchvision("densenet121"),
    "vit_small": lambda: timm.create_model("vit_small_patch16_224", num_classes=2, img_size=SIZE),
    "lenet": LeNet,
    "unet": UNet,
    "mlp": Mlp,
    "lstm": Lstm,
}


def write_data(folder):
    """Pictures of two classes, masks, a table and sequences, for `trainer new`."""
    random = numpy.random.default_rng(1)
    for name in ("pictures/a", "pictures/b", "masked/images", "masked/masks"):
        os.makedirs(os.path.join(folder, name))
    for i in range(20):
        picture = Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=numpy.uint8))
        picture.save(f"{folder}/pictures/{'ab'[i % 2]}/{i}.png")
        picture.save(f"{folder}/masked/images/{i}.png")
        Image.fromarray(random.integers(0, 2, (SIZE, SIZE), dtype=numpy.uint8)).save(f"{folder}/masked/masks/{i}.png")
    with open(f"{folder}/rows.csv", "w") as table:
        for i in range(20):
            table.write(",".join(f"{v:.6g}" for v in random.normal(size=5)) + f",{i % 3}\n")
    with h5py.File(f"{folder}/sequences.h5", "w") as file:
        file["data"] = random.normal(size=(20, 7, 5)).astype(numpy.float32)
        file["label"] = numpy.arange(20, dtype=numpy.float32) % 3


def batch_of(name):
    random = torch.Generator().manual_seed(2)
    shape = {"mlp": (BATCH, 5), "lstm": (BATCH, 7, 5), "lenet": (BATCH, 3, 28, 28)}.get(name, (BATCH, 3, SIZE, SIZE))
    x = torch.randn(shape, generator=random)
    labels = torch.randint(0, 2, (BATCH, SIZE, SIZE), generator=random) if name == "unet" else torch.arange(BATCH) % 2
    return x, labels


def layers_of(text):
    return re.findall(r"^layer \{(?:[^\n]*\}$|.*?^\}$)", text, re.M | re.S)


def field(layer, name):
    return re.search(rf'\b{name}: "([^"]*)"', layer).group(1)


def write_net(folder, name, x, labels):
    """The net of `trainer new` on the batch, without random numbers. Returns names and types of its layers."""
    data = {"unet": "masked", "mlp": "rows.csv", "lstm": "sequences.h5"}.get(name, "pictures")
    size = [] if name in ("mlp", "lstm") else [f"--size={x.shape[-1]}"]
    project = os.path.join(folder, name)
    subprocess.run([sys.argv[1], "new", project, f"--data={folder}/{data}", f"--net={name}", *size], check=True,
                   capture_output=True)
    with open(f"{project}/net.prototxt") as file:
        layers = [layer for layer in layers_of(file.read()) if field(layer, "name") != "data"]
    text = "\n".join(layers)
    text = re.sub(r"(dropout_ratio|drop_ratio): [0-9.e-]+", r"\1: 0", text)
    text = re.sub(r"label_smoothing: [0-9.]+", "", text)
    with open(f"{project}/net.prototxt", "w") as file:
        file.write(f"""layer {{ name: "data" type: "HDF5Data" top: "data" top: "label"
          hdf5_data_param {{ source: "{project}/batch.txt" batch_size: {BATCH} }} }}\n""" + text)
    with h5py.File(f"{project}/batch.h5", "w") as file:
        file["data"] = x.numpy()
        file["label"] = labels.numpy().astype(numpy.float32).reshape(
            (BATCH, 1, SIZE, SIZE) if name == "unet" else BATCH)
    with open(f"{project}/batch.txt", "w") as file:
        file.write(f"{project}/batch.h5\n")
    with open(f"{project}/solver.prototxt", "w") as file:
        file.write(f"""net: "net.prototxt" base_lr: {RATE} lr_policy: "fixed" max_iter: 1 solver_mode: CPU random_seed: 1
          snapshot_prefix: "{project}/step" snapshot_format: HDF5""")
    return project, [(field(layer, "name"), field(layer, "type"), layer) for layer in layers]


def gates(values):
    """PyTorch's order of the gates, i f g o, as Caffe's, i f o g, and back."""
    i, f, a, b = values.chunk(4)
    return torch.cat([i, f, b, a])


def blobs_of(model, layers):
    """The blobs of the net by "layer/number", and the number by which running sums are multiplied."""
    state, blobs = model.state_dict(), {}
    for name, kind, text in layers:
        if kind == "BatchNorm":
            # Sums whose weight stays the same in the next step.
            count = 1 / (1 - float(re.search(r"moving_average_fraction: ([0-9.]+)", text).group(1)))
            blobs[f"{name}/0"] = state[f"{name}.running_mean"] * count
            blobs[f"{name}/1"] = state[f"{name}.running_var"] * count
            blobs[f"{name}/2"] = torch.tensor([count])
        elif kind == "Bias":
            blobs[f"{name}/0"] = state[name][0]
        elif kind == "LSTM":
            blobs[f"{name}/0"] = gates(state["lstm.weight_ih_l0"])
            blobs[f"{name}/1"] = gates(state["lstm.bias_ih_l0"])
            blobs[f"{name}/2"] = gates(state["lstm.weight_hh_l0"])
        else:
            module = name.removesuffix(".scale") if kind == "Scale" else name
            for number, tensor in enumerate(("weight", "bias")):
                if f"{module}.{tensor}" in state:
                    blobs[f"{name}/{number}"] = state[f"{module}.{tensor}"]
    tensors = sum(not key.endswith(("num_batches_tracked", "bias_hh_l0")) for key in state)
    norms = sum(kind == "BatchNorm" for _, kind, _ in layers)
    if len(blobs) - norms != tensors:
        raise ValueError(f"{len(blobs) - norms} blobs for {tensors} tensors")
    return {name: blob.detach().numpy().copy() for name, blob in blobs.items()}


def randomize_norms(model):
    """Gives scales, shifts and statistics other values than 0 and 1, and residual branches small ones, as if trained."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d, nn.LayerNorm)):
                for name, values in module.state_dict().items():
                    spread = torch.rand(values.shape, generator=random)
                    if name in ("weight", "running_var"):
                        getattr(module, name).copy_(0.5 + spread)
                    elif name in ("bias", "running_mean"):
                        getattr(module, name).copy_(0.2 * spread - 0.1)
        for block in model.modules():
            if type(block).__name__ in RESIDUAL_BLOCKS:
                norms = [module for name, module in block.named_modules()
                         if isinstance(module, nn.BatchNorm2d) and not name.startswith("downsample")]
                norms[-1].weight.mul_(0.1)


def difference(ours, theirs):
    return float(numpy.abs(ours.reshape(theirs.shape) - theirs).max() / max(numpy.abs(theirs).max(), 1e-30))


def compare(folder, name):
    torch.manual_seed(1)
    model = NETS[name]()
    randomize_norms(model)
    x, labels = batch_of(name)
    project, layers = write_net(folder, name, x, labels)
    before = blobs_of(model, layers)
    with h5py.File(f"{project}/begin.caffemodel.h5", "w") as file:
        for blob, values in before.items():
            file[f"data/{blob}"] = values
    run = lambda *words: subprocess.run([sys.argv[1], *words], cwd=folder, check=True, capture_output=True)

    results = [layer for layer in layers if layer[1] not in ("SoftmaxWithLoss", "Accuracy")][-1]
    run("extract_features", f"{project}/begin.caffemodel.h5", f"{project}/net.prototxt", results[0],
        f"{project}/results.npy", "1", "npy")
    with torch.no_grad():
        expected = model.eval()(x).numpy()
    forward = difference(numpy.load(f"{project}/results.npy"), expected)

    run("train", f"--solver={project}/solver.prototxt", f"--weights={project}/begin.caffemodel.h5", "--run_dir=")
    single = after_step(copy.deepcopy(model), layers, x, labels)
    double = after_step(model.double(), layers, x.double(), labels)
    with h5py.File(f"{project}/step_iter_1.caffemodel.h5") as file:
        ours = {blob: file[f"data/{blob}"][()].reshape(values.shape) for blob, values in double.items()}
    largest = max(numpy.abs(double[blob] - before[blob]).max() for blob in double)
    update = lambda other: max(float(numpy.abs(other[blob] - double[blob]).max()) for blob in double) / largest
    step = max(difference(ours[blob], double[blob]) for blob in double)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return parameters, forward, step, update(ours), update(single)


def after_step(model, layers, x, labels):
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE)
    functional.cross_entropy(model(x), labels).backward()
    optimizer.step()
    return blobs_of(model, layers)


def main():
    torch.set_num_threads(2)
    sys.argv[1] = os.path.abspath(sys.argv[1])
    wrong = []
    print(f"{'net':16} {'parameters':>12} {'forward':>9} {'step':>9} {'update':>9} {'PyTorch':>9}")
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        for name in sys.argv[2:] or NETS:
            parameters, forward, step, update, single = compare(folder, name)
            print(f"{name:16} {parameters:12,} {forward:9.2g} {step:9.2g} {update:9.2g} {single:9.2g}", flush=True)
            subprocess.run(["rm", "-rf", os.path.join(folder, name)], check=True)
            if not (forward <= FORWARD and step <= STEP and update <= max(STEP, 3 * single)):
                wrong.append(name)
    print(f"different: {', '.join(wrong)}" if wrong else "all nets agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
