"""Runs published weights, found by their names, and compares with their net in PyTorch. Usage: published.py TRAINER

The safetensors file of the package silero-vad has convolutions and an LSTM; pnet.pt of facenet-pytorch has convolutions
with PReLU and a pooling that rounds up. The nets are those that the packages describe.
"""
import importlib.util
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import h5py
import numpy
import safetensors.torch
import torch

TRAINER = os.path.realpath(sys.argv[1])


def file_of(package, name):
    return os.path.join(importlib.util.find_spec(package).submodule_search_locations[0], "data", name)


WEIGHTS = file_of("silero_vad", "silero_vad_16k.safetensors")
PNET = file_of("facenet_pytorch", "pnet.pt")
STEPS, CHUNK, CONTEXT, PAD = 50, 512, 64, 64
CONVOLUTIONS = {"conv1": (128, 1), "conv2": (64, 2), "conv3": (64, 2), "conv4": (128, 1)}  # outputs, stride


def chunks_of_sound():
    """Chunks of a voice-like sound with pauses and noise, each after the end of the one before it."""
    generator = numpy.random.default_rng(0)
    time = numpy.arange(STEPS * CHUNK) / 16000
    voice = 0.3 * numpy.sin(2 * numpy.pi * (150 + 40 * numpy.sin(5 * time)) * time) * (numpy.sin(4 * numpy.pi * time) > 0)
    sound = (voice + 0.05 * generator.standard_normal(len(time))).astype(numpy.float32)
    sound = numpy.pad(sound, (CONTEXT, 0))
    chunks = numpy.stack([sound[i * CHUNK:i * CHUNK + CONTEXT + CHUNK] for i in range(STEPS)])
    return numpy.pad(chunks, ((0, 0), (0, PAD)), mode="reflect")


def net_text():
    text = f"""
layer {{ name: "data" type: "HDF5Data" top: "x" top: "cont" hdf5_data_param {{ source: "x.h5" batch_size: {STEPS} }} }}
layer {{ name: "stft_conv" type: "Convolution" bottom: "x" top: "s"
  convolution_param {{ num_output: 258 kernel_h: 256 kernel_w: 1 stride_h: 128 stride_w: 1 bias_term: false }} }}
layer {{ name: "parts" type: "Slice" bottom: "s" top: "re" top: "im" slice_param {{ axis: 1 slice_point: 129 }} }}
layer {{ name: "re2" type: "Power" bottom: "re" top: "re2" power_param {{ power: 2 }} }}
layer {{ name: "im2" type: "Power" bottom: "im" top: "im2" power_param {{ power: 2 }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "re2" bottom: "im2" top: "sum" eltwise_param {{ operation: SUM }} }}
layer {{ name: "magnitude" type: "Power" bottom: "sum" top: "magnitude" power_param {{ power: 0.5 }} }}
"""
    bottom = "magnitude"
    for name, (outputs, stride) in CONVOLUTIONS.items():
        text += f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{
  num_output: {outputs} kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 stride_h: {stride} stride_w: 1 }} }}
layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}
"""
        bottom = name
    return text + """
layer { name: "steps" type: "Reshape" bottom: "conv4" top: "steps" reshape_param { shape { dim: 0 dim: 1 dim: 128 } } }
layer { name: "lstm_cell" type: "LSTM" bottom: "steps" bottom: "cont" top: "h" recurrent_param { num_output: 128 } }
layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
layer { name: "rows" type: "Reshape" bottom: "h" top: "rows" reshape_param { shape { dim: 0 dim: 128 dim: 1 dim: 1 } } }
layer { name: "final_conv" type: "Convolution" bottom: "rows" top: "score" convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "speech" type: "Sigmoid" bottom: "score" top: "speech" }
"""


def expected(chunks):
    weights = safetensors.torch.load_file(WEIGHTS)
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name[10:]: value for name, value in weights.items() if name.startswith("lstm_cell.")})
    conv, state, speech = torch.nn.functional.conv1d, None, []
    for chunk in torch.tensor(chunks):
        x = conv(chunk[None, None], weights["stft_conv.weight"], stride=128)
        x = (x[:, :129]**2 + x[:, 129:]**2).sqrt()
        for name, (_, stride) in CONVOLUTIONS.items():
            x = conv(x, weights[name + ".weight"], weights[name + ".bias"], stride=stride, padding=1).relu()
        state = cell(x.squeeze(-1), state)
        x = conv(state[0][..., None].relu(), weights["final_conv.weight"], weights["final_conv.bias"])
        speech.append(torch.sigmoid(x).item())
    return numpy.array(speech)


def extract(net, weights, blobs, layers):
    with open("net.prototxt", "w") as file:
        file.write(net)
    run = subprocess.run([TRAINER, "extract_features", "--model=net.prototxt", f"--weights={weights}", ",".join(blobs),
                          ",".join(f"{blob}.npy" for blob in blobs), "1", "npy"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"{layers} layers loaded, 0 fresh, 0 mismatched, 0 unused" in run.stderr, run.stderr
    return [numpy.load(f"{blob}.npy") for blob in blobs]


def check_vad():
    chunks = chunks_of_sound()
    with h5py.File("x.h5", "w") as file:
        file["x"] = chunks.reshape(STEPS, 1, -1, 1)
        file["cont"] = numpy.float32([[step > 0] for step in range(STEPS)])
    speech = extract(net_text(), WEIGHTS, ["speech"], 7)[0].ravel()
    wanted = expected(chunks)
    assert wanted.max() > 0.5 and wanted.min() < 0.1, wanted
    numpy.testing.assert_allclose(speech, wanted, rtol=1e-4, atol=1e-5)
    print(f"silero-vad: largest difference {numpy.abs(speech - wanted).max():.1e}")


def check_pnet():
    net, bottom, layers = """
layer { name: "data" type: "HDF5Data" top: "image" hdf5_data_param { source: "image.h5" batch_size: 2 } }
""", "image", torch.nn.Sequential()
    sizes = [3, 10, 16, 32]
    for i in (1, 2, 3):
        net += f"""
layer {{ name: "conv{i}" type: "Convolution" bottom: "{bottom}" top: "conv{i}"
  convolution_param {{ num_output: {sizes[i]} kernel_size: 3 }} }}
layer {{ name: "prelu{i}" type: "PReLU" bottom: "conv{i}" top: "conv{i}" }}
"""
        layers.add_module(f"conv{i}", torch.nn.Conv2d(sizes[i - 1], sizes[i], 3))
        layers.add_module(f"prelu{i}", torch.nn.PReLU(sizes[i]))
        bottom = f"conv{i}"
        if i == 1:
            net += 'layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }'
            layers.add_module("pool", torch.nn.MaxPool2d(2, 2, ceil_mode=True))
            bottom = "pool"
    net += """
layer { name: "conv4_1" type: "Convolution" bottom: "conv3" top: "conv4_1" convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "face" type: "Softmax" bottom: "conv4_1" top: "face" }
layer { name: "conv4_2" type: "Convolution" bottom: "conv3" top: "box" convolution_param { num_output: 4 kernel_size: 1 } }
"""
    weights = torch.load(PNET)
    layers.load_state_dict({name: value for name, value in weights.items() if not name.startswith("conv4")})
    torch.manual_seed(0)
    image = torch.rand(2, 3, 37, 50) * 2 - 1
    with h5py.File("image.h5", "w") as file:
        file["image"] = image.numpy()
    with torch.no_grad():
        features = layers(image)
        conv = torch.nn.functional.conv2d
        face = conv(features, weights["conv4_1.weight"], weights["conv4_1.bias"]).softmax(1).numpy()
        box = conv(features, weights["conv4_2.weight"], weights["conv4_2.bias"]).numpy()
    for ours, wanted in zip(extract(net, PNET, ["face", "box"], 8), (face, box)):
        numpy.testing.assert_allclose(ours.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    print(f"pnet of facenet-pytorch: equal, faces from {face[:, 1].min():.2g} to {face[:, 1].max():.2g}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        check_vad()
        check_pnet()
    print("equal")


main()
