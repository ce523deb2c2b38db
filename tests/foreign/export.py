"""Runs exported nets in onnxruntime and OpenCV and compares with what the program computes. Usage: export.py TRAINER"""
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import cv2
import h5py
import numpy
import onnx
import onnxruntime

TOLERANCE = 1e-3
ITEMS = 4


def layer(name, kind, bottoms, top=None, text=""):
    bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
    bottom = " ".join(f'bottom: "{b}"' for b in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {bottom} top: "{top or name}" {text} }}\n'


def conv(name, bottom, outputs, text="kernel_size: 3 pad: 1", kind="Convolution"):
    filler = 'weight_filler { type: "msra" } bias_filler { type: "uniform" min: -0.1 max: 0.1 }'
    return layer(name, kind, bottom, None, f"convolution_param {{ num_output: {outputs} {text} {filler} }}")


def relu(name):
    return layer(name + "_relu", "ReLU", name, name)


def pool(name, bottom, text):
    return layer(name, "Pooling", bottom, None, f"pooling_param {{ {text} }}")


def inner(name, bottom, outputs):
    return layer(name, "InnerProduct", bottom, None,
                 f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }}')


def normalized(name, bottom, outputs, text="kernel_size: 3 pad: 1", kind="Convolution", active=True):
    """A convolution without bias, BatchNorm, Scale and, on request, ReLU, in place."""
    return (conv(name, bottom, outputs, text + " bias_term: false", kind) +
            layer(name + "_bn", "BatchNorm", name, name) +
            layer(name + "_scale", "Scale", name, name,
                  'scale_param { bias_term: true filler { type: "uniform" min: 0.5 max: 1.5 } '
                  'bias_filler { type: "uniform" min: -0.2 max: 0.2 } }') +
            (relu(name) if active else ""))


def lenet():
    return (conv("conv1", "data", 8, "kernel_size: 5") + pool("pool1", "conv1", "kernel_size: 2 stride: 2") +
            conv("conv2", "pool1", 12, "kernel_size: 5") + pool("pool2", "conv2", "kernel_size: 2 stride: 2") +
            inner("ip1", "pool2", 30) + relu("ip1") +
            layer("drop", "Dropout", "ip1", "ip1", "dropout_param { dropout_ratio: 0.5 }") + inner("scores", "ip1", 10))


def resnet():
    text = normalized("conv1", "data", 8, "kernel_size: 7 pad: 3 stride: 2") + pool("pool1", "conv1", "kernel_size: 3 stride: 2")
    bottom = "pool1"
    for block, (outputs, stride) in enumerate([(8, 1), (16, 2)]):
        n = f"b{block}"
        text += normalized(n + "_a", bottom, outputs, f"kernel_size: 3 pad: 1 stride: {stride}")
        text += normalized(n + "_b", n + "_a", outputs, active=False)
        text += normalized(n + "_s", bottom, outputs, f"kernel_size: 1 stride: {stride}", active=False)
        text += layer(n, "Eltwise", [n + "_b", n + "_s"]) + relu(n)
        bottom = n
    return text + pool("average", bottom, "pool: AVE global_pooling: true") + inner("scores", "average", 10)


def mobilenet(kind):
    text, channels = normalized("conv1", "data", 8, "kernel_size: 3 pad: 1 stride: 2"), 8
    for block, (outputs, stride) in enumerate([(16, 1), (24, 2)]):
        n, group = f"b{block}", f"group: {channels}" if kind == "Convolution" else ""
        bottom = f"b{block - 1}_out" if block else "conv1"
        text += normalized(n + "_dw", bottom, channels, f"kernel_size: 3 pad: 1 stride: {stride} {group}", kind)
        text += normalized(n + "_out", n + "_dw", outputs, "kernel_size: 1")
        channels = outputs
    return text + pool("average", "b1_out", "pool: AVE global_pooling: true") + inner("scores", "average", 10)


def googlenet():
    """Pooling with rounding up and clipped last windows, averages over padding, LRN, Concat."""
    text = conv("conv1", "data", 8, "kernel_size: 5 stride: 2 pad: 2") + relu("conv1")
    text += pool("pool1", "conv1", "kernel_size: 3 stride: 2")
    text += layer("norm1", "LRN", "pool1", None, "lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 }")
    text += conv("p1", "norm1", 6, "kernel_size: 1") + relu("p1") + conv("p3", "norm1", 8) + relu("p3")
    text += pool("pp", "norm1", "kernel_size: 3 stride: 1 pad: 1") + conv("pj", "pp", 4, "kernel_size: 1")
    text += pool("pa", "norm1", "pool: AVE kernel_size: 3 stride: 1 pad: 1")
    text += layer("join", "Concat", ["p1", "p3", "pj", "pa"])
    text += pool("ave", "join", "pool: AVE kernel_size: 3 stride: 2 pad: 1")
    text += pool("last", "ave", "pool: AVE kernel_size: 3 stride: 2")
    return text + inner("scores", "last", 10)


def fcn():
    """Dilated convolutions, an upsampling Deconvolution, a skip connection and Crop; scores of each pixel."""
    text = conv("conv1", "data", 8, "kernel_size: 3 pad: 5") + relu("conv1")
    text += pool("pool1", "conv1", "kernel_size: 2 stride: 2")
    text += conv("conv2", "pool1", 8, "kernel_size: 3 pad: 2 dilation: 2") + relu("conv2")
    text += pool("pool2", "conv2", "kernel_size: 2 stride: 2") + conv("low", "pool2", 4, "kernel_size: 1")
    text += conv("up", "low", 4, "kernel_size: 4 stride: 2", "Deconvolution") + conv("skip", "pool1", 4, "kernel_size: 1")
    text += layer("up_cut", "Crop", ["up", "skip"], None, "crop_param { axis: 2 offset: 1 }")
    text += layer("sum", "Eltwise", ["up_cut", "skip"])
    text += conv("large", "sum", 4, "kernel_size: 4 stride: 2 group: 2", "Deconvolution")
    return text + layer("scores", "Crop", ["large", "data"], None, "crop_param { axis: 2 offset: 3 }")


# Name: the layers, the shape of the input, whether each pixel has scores, whether OpenCV reads the pair.
NETS = {
    "lenet": (lenet(), (1, 28, 28), False, True),
    "resnet": (resnet(), (3, 45, 45), False, True),
    "mobilenet": (mobilenet("Convolution"), (3, 32, 32), False, True),
    "depthwise": (mobilenet("DepthwiseConvolution"), (3, 32, 32), False, True),
    "googlenet": (googlenet(), (3, 47, 47), False, True),
    "fcn": (fcn(), (3, 33, 29), True, True),
}


def run(trainer, folder, *words):
    done = subprocess.run([trainer, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


def write_net(folder, layers, shape, pixels):
    random = numpy.random.default_rng(1)
    with h5py.File(os.path.join(folder, "data.h5"), "w") as file:
        file["data"] = random.uniform(-1, 1, (ITEMS, *shape)).astype("f")
        labels = (ITEMS, 1, *shape[1:]) if pixels else (ITEMS,)
        file["label"] = random.integers(0, 4, labels).astype("f")
        data = file["data"][:]
    with open(os.path.join(folder, "list.txt"), "w") as file:
        file.write("data.h5\n")
    with open(os.path.join(folder, "net.prototxt"), "w") as file:
        file.write('name: "net" layer { name: "data" type: "HDF5Data" top: "data" top: "label" '
                   f'hdf5_data_param {{ source: "list.txt" batch_size: {ITEMS} }} }}\n' + layers +
                   'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }\n')
    with open(os.path.join(folder, "solver.prototxt"), "w") as file:
        file.write('net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 3 solver_mode: CPU random_seed: 1 '
                   'snapshot_prefix: "w"\n')
    return data


def softmax(x):
    x = numpy.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def compare(name, expected, actual):
    difference = numpy.abs(expected - actual).max() / numpy.abs(expected).max()
    assert expected.shape == actual.shape and difference <= TOLERANCE, f"{name}: {difference}"
    print(f"{name}: within {difference:.1e}")


def check(trainer, name, layers, shape, pixels, opencv):
    with tempfile.TemporaryDirectory() as folder:
        data = write_net(folder, layers, shape, pixels)
        run(trainer, folder, "train", "--solver=solver.prototxt", "--run_dir=")
        weights = ["--model=net.prototxt", "--weights=w_iter_3.caffemodel"]
        run(trainer, folder, "extract_features", *weights, "scores", "scores.npy", "1", "npy")
        expected = softmax(numpy.load(os.path.join(folder, "scores.npy")))
        for words in [[], ["--keep_bn"], ["--opset=17"]]:
            run(trainer, folder, "export", *weights, "--output=net.onnx", "--overwrite", *words)
            path = os.path.join(folder, "net.onnx")
            onnx.checker.check_model(path, full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            assert [i.name for i in session.get_inputs()] == ["data"]
            for count in [1, ITEMS]:
                (actual,) = session.run(["prob"], {"data": data[:count]})
                compare(f"{name} {' '.join(words)} onnxruntime, {count} items", expected[:count], actual)
        run(trainer, folder, "export", *weights, "--output=net.npz")
        assert "scores/0" in numpy.load(os.path.join(folder, "net.npz")) or pixels
        for words in [[], ["--keep_bn"]] if opencv else []:
            run(trainer, folder, "export", *weights, "--output=pair/", "--overwrite", *words)
            pair = [os.path.join(folder, "pair", file) for file in ("deploy.prototxt", "weights.caffemodel")]
            net = cv2.dnn.readNetFromCaffe(*pair)
            net.setInput(data)
            compare(f"{name} {' '.join(words)} OpenCV", expected, net.forward("prob"))


def main(trainer):
    for name, (layers, shape, pixels, opencv) in NETS.items():
        check(os.path.abspath(trainer), name, layers, shape, pixels, opencv)


main(sys.argv[1])
