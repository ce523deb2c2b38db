"""Runs exported nets in onnxruntime and OpenCV and compares with what the program computes. Usage: export.py TRAINER"""
import json
import os
import struct
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


def poolings():
    """Windows that reach beyond the image or its padding, in both modes and with unequal sides, and global ones."""
    parts, text = [], conv("conv1", "data", 4)
    windows = ["kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pad: 1", "kernel_size: 2 stride: 2 pad: 1",
               "kernel_h: 4 kernel_w: 3 stride_h: 3 stride_w: 2 pad_h: 2 pad_w: 0", "kernel_size: 5 stride: 4 pad: 2",
               "kernel_size: 3 stride: 3 pad: 2", "kernel_size: 3 stride: 2 round_mode: FLOOR", "global_pooling: true"]
    for mode in ("MAX", "AVE"):
        for i, window in enumerate(windows):
            name = f"{mode}{i}"
            text += pool(name, "conv1", f"pool: {mode} {window}") + layer(name + "_flat", "Flatten", name)
            parts.append(name + "_flat")
    return text + layer("scores", "Concat", parts)


def deconvolutions():
    """Groups with several inputs and outputs, unequal sides, and dilation."""
    text = conv("conv1", "data", 8)
    text += conv("a", "conv1", 12, "kernel_size: 4 stride: 2 pad: 1 group: 4", "Deconvolution")
    text += conv("b", "a", 6, "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0 group: 2", "Deconvolution")
    text += conv("c", "b", 6, "kernel_size: 3 dilation: 2 pad: 1 group: 3", "Deconvolution")
    return text + conv("scores", "c", 6, "kernel_size: 3 stride: 2 group: 6 bias_term: false", "Deconvolution")


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


def resizing():
    """Interp, Upsample and normalizations that are several nodes."""
    text = conv("conv1", "data", 8) + layer("slopes", "PReLU", "conv1")
    text += layer("up", "Interp", "slopes", None, "interp_param { zoom_factor: 2 pad_beg: -1 }")
    text += layer("groups", "GroupNorm", "up", None, "group_norm_param { groups: 4 }")
    text += layer("down", "Interp", "groups", None, "interp_param { height: 7 width: 5 }")
    text += layer("row", "Interp", "groups", None, "interp_param { height: 1 width: 5 }")
    text += layer("grown", "Interp", "row", None, "interp_param { height: 7 width: 5 pad_end: 0 }")
    text += layer("both", "Eltwise", ["down", "grown"])
    text += layer("unit", "Normalize", "both") + layer("twice", "Upsample", "unit", None, "upsample_param { scale: 2 }")
    text += layer("centered", "MVN", "twice") + layer("shuffled", "ShuffleChannel", "centered", None,
                                                    "shuffle_channel_param { group: 2 }")
    text += layer("pixels", "LRN", "shuffled", None,
                  "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 2 }")
    return text + layer("scores", "GELU", "pixels")


def recurrent(kind):
    filler = 'weight_filler { type: "uniform" min: -0.5 max: 0.5 } bias_filler { type: "uniform" min: -1 max: 1 }'
    return layer("scores", kind, ["data", "marks"], None, f"recurrent_param {{ num_output: 6 {filler} }}")


def pictures(height, width, channels=3):
    random = numpy.random.default_rng(1)
    return {"data": random.uniform(-1, 1, (ITEMS, channels, height, width)), "label": numpy.zeros(ITEMS)}


STEPS = {"data": numpy.random.default_rng(2).uniform(-1, 1, (7, 3, 5)), "marks": numpy.ones((7, 3))}
STEPS["marks"][0] = 0
PIXELS = dict(pictures(33, 29), label=numpy.zeros((ITEMS, 1, 33, 29)))
LOSS = layer("loss", "SoftmaxWithLoss", ["scores", "label"])

# Name: the layers, the datasets, and whether OpenCV reads the pair.
NETS = {
    "lenet": (lenet() + LOSS, pictures(28, 28, 1), True),
    "resnet": (resnet() + LOSS, pictures(45, 45), True),
    "mobilenet": (mobilenet("Convolution") + LOSS, pictures(32, 32), True),
    "depthwise": (mobilenet("DepthwiseConvolution") + LOSS, pictures(32, 32), True),
    "googlenet": (googlenet() + LOSS, pictures(47, 47), True),
    "fcn": (fcn() + LOSS, PIXELS, True),
    "poolings": (poolings(), {"data": pictures(11, 14)["data"]}, False),
    "deconvolutions": (deconvolutions(), {"data": pictures(5, 6)["data"]}, False),
    "resizing": (resizing(), {"data": pictures(9, 11)["data"]}, False),
    "lstm": (recurrent("LSTM"), STEPS, False),
    "rnn": (recurrent("RNN"), STEPS, False),
}


def run(trainer, folder, *words):
    done = subprocess.run([trainer, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


def write_net(folder, layers, datasets):
    with h5py.File(os.path.join(folder, "data.h5"), "w") as file:
        for name, values in datasets.items():
            file[name] = values.astype("f")
    with open(os.path.join(folder, "list.txt"), "w", encoding="utf-8") as file:
        file.write("data.h5\n")
    tops = " ".join(f'top: "{name}"' for name in datasets)
    with open(os.path.join(folder, "net.prototxt"), "w", encoding="utf-8") as file:
        file.write(f'name: "net" layer {{ name: "input" type: "HDF5Data" {tops} '
                   f'hdf5_data_param {{ source: "list.txt" batch_size: {len(datasets["data"])} }} }}\n' + layers)


def write_weights(trainer, folder):
    """The initial values of the net, with random statistics, as an HDF5 weight file."""
    run(trainer, folder, "export", "--model=net.prototxt", "--weights=none", "--allow_fresh", "--output=fresh.npz")
    random = numpy.random.default_rng(3)
    fresh = numpy.load(os.path.join(folder, "fresh.npz"))
    with h5py.File(os.path.join(folder, "w.caffemodel.h5"), "w") as file:
        for name in fresh.files:
            values = fresh[name]
            if "_bn/" in name:
                values = 2 * random.uniform(0.1, 1, values.shape) if not name.endswith("/2") else numpy.full((1,), 2)
            file[f"data/{name}"] = values.astype("f")


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, values = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    return {name: numpy.frombuffer(values[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
            for name, entry in header.items()}


def check_tensors(trainer, folder, net):
    """Both tensor files have the values of the weights that were exported."""
    for name in ("net.npz", "net.safetensors"):
        run(trainer, folder, "export", *net, "--output=" + name)
    arrays, tensors = numpy.load(os.path.join(folder, "net.npz")), read_safetensors(os.path.join(folder, "net.safetensors"))
    with h5py.File(os.path.join(folder, "w.caffemodel.h5")) as file:
        for name in arrays.files:
            assert numpy.array_equal(arrays[name], file["data/" + name]), name
            assert numpy.array_equal(arrays[name], tensors[name]), name
    assert sorted(arrays.files) == sorted(tensors)


def softmax(x):
    x = numpy.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def compare(name, expected, actual):
    difference = numpy.abs(expected - actual).max() / numpy.abs(expected).max()
    assert expected.shape == actual.shape and difference <= TOLERANCE, f"{name}: {difference}"
    print(f"{name}: within {difference:.1e}")


def check(trainer, name, layers, datasets, opencv):
    with tempfile.TemporaryDirectory() as folder:
        write_net(folder, layers, datasets)
        write_weights(trainer, folder)
        data = datasets["data"].astype("f")
        net = ["--model=net.prototxt", "--weights=w.caffemodel.h5"]
        run(trainer, folder, "extract_features", *net, "scores", "scores.npy", "1", "npy")
        expected, output = numpy.load(os.path.join(folder, "scores.npy")), "scores"
        if "label" in datasets:
            expected, output = softmax(expected), "prob"
        check_tensors(trainer, folder, net)
        assert expected.std(axis=0).max() > 0.01 * numpy.abs(expected).max(), f"{name} hardly depends on its input"
        for words in [[], ["--keep_bn"], ["--opset=17"]]:
            run(trainer, folder, "export", *net, "--output=net.onnx", "--overwrite", *words)
            path = os.path.join(folder, "net.onnx")
            onnx.checker.check_model(path, full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            assert [i.name for i in session.get_inputs()] == ["data"]
            model = onnx.load(path)
            assert model.producer_name == "trainer" and model.producer_version and model.graph.name == "net"
            for count in [1, len(data)]:
                (actual,) = session.run([output], {"data": data[:count]})
                compare(f"{name} {' '.join(words)} onnxruntime, {count} of {len(data)}", expected[:count], actual)
        for words in [[], ["--keep_bn"]] if opencv else []:
            run(trainer, folder, "export", *net, "--output=pair/", "--overwrite", *words)
            pair = [os.path.join(folder, "pair", file) for file in ("deploy.prototxt", "weights.caffemodel")]
            read = cv2.dnn.readNetFromCaffe(*pair)
            read.setInput(data)
            compare(f"{name} {' '.join(words)} OpenCV", expected, read.forward(output))


def check_pixels(trainer, transform, rgb=False, size=(12, 14)):
    """--with_preprocessing: the model takes the pixels of the cropped pictures."""
    with tempfile.TemporaryDirectory() as folder:
        random = numpy.random.default_rng(4)
        pictures = random.integers(0, 256, (ITEMS, 12, 14, 3)).astype("u1")
        for i, picture in enumerate(pictures):
            cv2.imwrite(os.path.join(folder, f"{i}.png"), picture)
        for name, text in [("list.txt", "".join(f"{i}.png {i}\n" for i in range(ITEMS))), ("net.prototxt", f'''name: "net"
                layer {{ name: "input" type: "ImageData" top: "data" top: "label" transform_param {{ {transform} }}
                  image_data_param {{ source: "list.txt" batch_size: {ITEMS} }} }}\n''' + inner("scores", "data", 10) + LOSS)]:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        run(trainer, folder, "convert", "imageset", "./", "list.txt", "db")
        run(trainer, folder, "compute_mean", "db", "mean.binaryproto")
        write_weights(trainer, folder)
        net = ["--model=net.prototxt", "--weights=w.caffemodel.h5"]
        run(trainer, folder, "extract_features", *net, "scores", "scores.npy", "1", "npy")
        run(trainer, folder, "export", *net, "--output=net.onnx", "--with_preprocessing")
        path = os.path.join(folder, "net.onnx")
        onnx.checker.check_model(path, full_check=True)
        described = onnx.load(path).graph.input[0].doc_string
        assert described == "pixels of 0 to 255, channels " + ("R, G, B" if rgb else "B, G, R"), described
        top, left = (12 - size[0]) // 2, (14 - size[1]) // 2
        pixels = pictures[:, top:top + size[0], left:left + size[1], ::-1 if rgb else 1].transpose(0, 3, 1, 2)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (actual,) = session.run(["prob"], {"data": pixels.astype("f")})
        compare(f"pixels, {transform}", softmax(numpy.load(os.path.join(folder, "scores.npy"))), actual)


MEANS = "mean_value: 104 mean_value: 117 mean_value: 123"
NORMALIZE = "normalize { mean: [0.4, 0.5, 0.6] std: [0.2, 0.25, 0.3] }"


def main(trainer):
    check_pixels(os.path.abspath(trainer), f"scale: 0.02 {MEANS}")
    check_pixels(os.path.abspath(trainer), f"channel_order: RGB {MEANS} std_value: 60 std_value: 50 std_value: 70", True)
    check_pixels(os.path.abspath(trainer), f"channel_order: RGB augment {{ {NORMALIZE} }}", True)
    check_pixels(os.path.abspath(trainer), 'scale: 0.02 mean_file: "mean.binaryproto" crop_size: 8', False, (8, 8))
    check_pixels(os.path.abspath(trainer), 'scale: 0.02 channel_order: RGB mean_file: "mean.binaryproto"', True)
    for name, (layers, datasets, opencv) in NETS.items():
        check(os.path.abspath(trainer), name, layers, datasets, opencv)


main(sys.argv[1])
