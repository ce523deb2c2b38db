"""Compares the nets of `trainer new` with torchvision, timm and PyTorch, with equal weights. Usage: nets.py TRAINER [NET...]

PyTorch in 64 bits is the reference: for the results in phase TEST, and for the parameters and statistics after one step of
SGD. The errors of PyTorch in 32 bits are beside those of trainer. An update is smooth in the weights except where a ReLU is
close to 0 or two values of a max pooling are close to each other: if rounding decides which gradient passes, one such unit
changes the gradients of all layers before it by some percent, in any program. Therefore:

- The shifts of BatchNorm are about four deviations: few units are close to 0. In a net without normalization, convolutions
  get the deviations and shifts that BatchNorm would give. Other weights have PyTorch's initial values.
- VGG-16 and GoogLeNet read smaller pictures: they have fewer windows of max pooling.
- Batches are drawn until changes of the weights by 1e-5, about the error of 16 layers, hardly change the gradients in 64 bits.

The statistics of BatchNorm are those of another batch, so that the results in phase TEST have a usual size. The learning rate
gives the largest update the size 0.1, which 32-bit weights show.
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

LARGEST_UPDATE = 0.1
CHANGE, DRAWS = 1e-5, 30  # of the weights, to find a batch
FORWARD, STEP = 1e-4, 1e-3  # the largest errors


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
    model.classifier[0] = nn.Linear(512, 4096)
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
    "vit_small": lambda: timm.create_model("vit_small_patch16_224", num_classes=2, img_size=64),
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
        picture = Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=numpy.uint8))
        picture.save(f"{folder}/pictures/{'ab'[i % 2]}/{i}.png")
        picture.save(f"{folder}/masked/images/{i}.png")
        Image.fromarray(random.integers(0, 2, (64, 64), dtype=numpy.uint8)).save(f"{folder}/masked/masks/{i}.png")
    with open(f"{folder}/rows.csv", "w") as table:
        for i in range(20):
            table.write(",".join(f"{v:.6g}" for v in random.normal(size=5)) + f",{i % 3}\n")
    with h5py.File(f"{folder}/sequences.h5", "w") as file:
        file["data"] = random.normal(size=(20, 7, 5)).astype(numpy.float32)
        file["label"] = numpy.arange(20, dtype=numpy.float32) % 3


SHAPES = {"mlp": (4, 5), "lstm": (4, 7, 5), "lenet": (4, 3, 28, 28), "vgg16": (2, 3, 32, 32), "googlenet": (8, 3, 32, 32)}


def draw_batch(name, seed):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(SHAPES.get(name, (4, 3, 64, 64)), generator=random)
    if name == "unet":
        return x, torch.randint(0, 2, (4, 64, 64), generator=random)
    return x, torch.arange(len(x)) % 2


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
          hdf5_data_param {{ source: "{project}/batch.txt" batch_size: {len(x)} }} }}\n""" + text)
    with h5py.File(f"{project}/batch.h5", "w") as file:
        file["data"] = x.numpy()
        file["label"] = (labels[:, None] if name == "unet" else labels).numpy().astype(numpy.float32)
    with open(f"{project}/batch.txt", "w") as file:
        file.write(f"{project}/batch.h5\n")
    return project, [(field(layer, "name"), field(layer, "type"), layer) for layer in layers]


def write_solver(project, rate):
    with open(f"{project}/solver.prototxt", "w") as file:
        file.write(f"""net: "net.prototxt" base_lr: {rate!r} lr_policy: "fixed" max_iter: 1 solver_mode: CPU random_seed: 1
          snapshot_prefix: "{project}/step" snapshot_format: HDF5""")


def gates(values):
    """PyTorch's order of the gates, i f g o, as Caffe's, i f o g, and back."""
    i, f, a, b = values.chunk(4)
    return torch.cat([i, f, b, a])


def blobs_of(model, layers):
    """The blobs of the net by "layer/number"."""
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


def normalize(convolution, _, output):
    """Changes weights and biases so that channels have the deviation 0.5 and the mean 2. Returns the changed output."""
    deviation, mean = torch.std_mean(output, (0, 2, 3))
    factor = 0.5 / deviation
    convolution.weight.mul_(factor[:, None, None, None])
    convolution.bias.sub_(mean).mul_(factor).add_(2)
    return (output - mean[:, None, None]) * factor[:, None, None] + 2


def prepare_norms(model, shape):
    """Gives scales, shifts and statistics of a random batch the values that the comparison needs."""
    random = torch.Generator().manual_seed(3)
    modules = list(model.modules())
    batch_norms = [module for module in modules if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d))]
    normalized = any(isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)) for module in modules)
    hooks = [module.register_forward_hook(normalize) for module in modules
             if isinstance(module, nn.Conv2d) and not normalized]
    for module in modules:
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.4, 0.6, generator=random)
            shifts = (-0.1, 0.1) if isinstance(module, nn.LayerNorm) else (1.8, 2.2)
            nn.init.uniform_(module.bias, *shifts, generator=random)
    momenta = [module.momentum for module in batch_norms]
    for module in batch_norms:
        module.momentum = 1
    with torch.no_grad():
        model.train()(torch.randn(shape, generator=random))
    for hook in hooks:
        hook.remove()
    for module, momentum in zip(batch_norms, momenta):
        module.momentum = momentum


def error(ours, exact, scale=0):
    """The largest error, relative to the largest value."""
    return float(numpy.abs(ours.reshape(exact.shape) - exact).max() / max(numpy.abs(exact).max(), scale, 1e-30))


def results_of(model, x):
    with torch.no_grad():
        return model.eval()(x).numpy()


def gradients_of(model, x, labels):
    """The parameters that learn, with gradients."""
    model.train().zero_grad()
    functional.cross_entropy(model(x), labels).backward()
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def sensitivity(model, x, labels):
    """The largest change of a gradient if all weights change a little, relative to the largest value of the gradient."""
    random = torch.Generator().manual_seed(4)
    model, changed = copy.deepcopy(model), copy.deepcopy(model)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter *= 1 + CHANGE * torch.randn(parameter.shape, generator=random)
    gradients = [[p.grad.numpy() for p in gradients_of(each, x, labels)] for each in (model, changed)]
    return max(Errors.relative(dict(enumerate(gradients[1])), dict(enumerate(gradients[0]))).values())


def conditioned_batch(name, model):
    """The first batch of low sensitivity."""
    for seed in range(DRAWS):
        x, labels = draw_batch(name, seed)
        sensitive = sensitivity(model, x.double(), labels)
        if sensitive <= STEP:
            return sensitive, x, labels
    raise ValueError(f"{name}: none of {DRAWS} batches is well conditioned")


def blobs_after_step(model, layers, x, labels, rate):
    parameters = gradients_of(model, x, labels)
    with torch.no_grad():
        for parameter in parameters:
            parameter -= rate * parameter.grad
    return blobs_of(model, layers)


class Errors:
    """The errors of a program after a step: of values, and of updates."""

    def __init__(self, ours, exact, before, layers):
        statistics = {name for name, kind, _ in layers if kind == "BatchNorm"}
        learned = [blob for blob in exact if blob.rsplit("/", 1)[0] not in statistics]
        self.values = {blob: error(ours[blob], exact[blob]) for blob in exact}
        self.updates = self.relative(*({blob: values[blob] - before[blob] for blob in learned} for values in (ours, exact)))
        self.value, self.update = max(self.values.values()), max(self.updates.values())

    @staticmethod
    def relative(ours, exact):
        """The error of each, relative to its largest value, or to 1/100 of the largest of all: a smaller update is mostly the
        rounding of the values."""
        least = 0.01 * max(numpy.abs(values).max() for values in exact.values())
        return {key: error(ours[key], exact[key], least) for key in exact}


PUBLISHED = {"resnext50": "resnext50_32x4d", "mobilenet_v3": "mobilenet_v3_large", "squeezenet": "squeezenet1_1"}


def published_preparations(name, model):
    """How published weights of a net expect pictures, by their names: shorter side, size, filter, means and deviations."""
    if hasattr(model, "default_cfg"):
        config = model.default_cfg
        size = config["input_size"][-1]
        return {f"{config['architecture']}.{config['tag']}": (
            int(size / config["crop_pct"]), size, config["interpolation"], [*config["mean"], *config["std"]])}
    name = PUBLISHED.get(name, name)
    if name not in torchvision.models.list_models(torchvision.models):
        return {}
    expected = {}
    for weights in torchvision.models.get_model_weights(name):
        steps = weights.transforms()
        # GoogLeNet changes its input to the mean 0.5 and the deviation 0.5.
        numbers = [0.5] * 6 if name == "googlenet" else [*steps.mean, *steps.std]
        if re.fullmatch(r"IMAGENET1K_V\d+", weights.name):
            expected[f"{name}.{weights.name}"] = (steps.resize_size[0], steps.crop_size[0], steps.interpolation.value, numbers)
    return expected


def preparation(folder, weights):
    """How the net of `trainer new` for published weights prepares pictures in phase TEST."""
    project = os.path.join(folder, f"tuned_{weights}")
    subprocess.run([sys.argv[1], "new", project, f"--data={folder}/pictures", f"--weights={weights}"], check=True,
                   capture_output=True)
    with open(f"{project}/net.prototxt") as file:
        data = [layer for layer in layers_of(file.read()) if "phase: TEST" in layer][0]
    number = lambda text: int(re.search(rf"{text}: (\d+)", data).group(1))
    if "channel_order: RGB" not in data:
        raise ValueError(f"{weights}: no RGB")
    return (number("short_side"), number(r"center_crop { size"), "bicubic" if "filter: BICUBIC" in data else "bilinear",
            [float(value) for value in re.findall(r"(?:mean|std): ([0-9.]+)", data)])


def compare(folder, name):
    torch.manual_seed(1)
    model = NETS[name]()
    prepare_norms(model, draw_batch(name, 0)[0].shape)
    double = copy.deepcopy(model).double()
    for weights, expected in published_preparations(name, model).items():
        prepared = preparation(folder, weights)
        if prepared != expected:
            raise ValueError(f"{weights}: pictures are prepared as {prepared}, but the weights expect {expected}")
    sensitive, x, labels = conditioned_batch(name, double)
    project, layers = write_net(folder, name, x, labels)
    before = blobs_of(double, layers)
    with h5py.File(f"{project}/begin.caffemodel.h5", "w") as file:
        for blob, values in before.items():
            file[f"data/{blob}"] = values.astype(numpy.float32)
    run = lambda *words: subprocess.run([sys.argv[1], *words], cwd=folder, check=True, capture_output=True)

    results = [layer for layer in layers if layer[1] not in ("SoftmaxWithLoss", "Accuracy")][-1]
    run("extract_features", f"{project}/begin.caffemodel.h5", f"{project}/net.prototxt", results[0],
        f"{project}/results.npy", "1", "npy")
    exact = results_of(double, x.double())
    forward = error(numpy.load(f"{project}/results.npy"), exact), error(results_of(model, x), exact)

    largest = max(float(p.grad.abs().max()) for p in gradients_of(copy.deepcopy(double), x.double(), labels))
    rate = float(numpy.float32(LARGEST_UPDATE / largest))
    write_solver(project, rate)
    run("train", f"--solver={project}/solver.prototxt", f"--weights={project}/begin.caffemodel.h5", "--run_dir=")
    exact = blobs_after_step(double, layers, x.double(), labels, rate)
    with h5py.File(f"{project}/step_iter_1.caffemodel.h5") as file:
        ours = {blob: file[f"data/{blob}"][()].reshape(values.shape) for blob, values in exact.items()}
    steps = [Errors(after, exact, before, layers) for after in (ours, blobs_after_step(model, layers, x, labels, rate))]
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return parameters, sensitive, forward, steps


def main():
    torch.set_num_threads(2)
    sys.argv[1] = os.path.abspath(sys.argv[1])
    wrong = []
    print(f"{'':41} {'forward':^19} {'step':^19} {'update':^19}")
    print(f"{'net':16} {'parameters':>12} {'sensitivity':>11}" + f" {'trainer':>9} {'PyTorch':>9}" * 3)
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        for name in sys.argv[2:] or NETS:
            parameters, sensitive, forward, steps = compare(folder, name)
            pairs = (*forward, *(step.value for step in steps), *(step.update for step in steps))
            print(f"{name:16} {parameters:12,} {sensitive:11.1e}" + "".join(f" {number:9.1e}" for number in pairs), flush=True)
            subprocess.run(["rm", "-rf", os.path.join(folder, name)], check=True)
            if not (forward[0] <= FORWARD and steps[0].value <= STEP and steps[0].update <= STEP):
                wrong.append(name)
    print(f"different: {', '.join(wrong)}" if wrong else "all nets agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
