"""Runs published weights, found by their names, and compares with their net in PyTorch. Usage: published.py TRAINER

The safetensors file of the package silero-vad has convolutions and an LSTM; its net is the one that the package describes.
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
PACKAGE = importlib.util.find_spec("silero_vad").submodule_search_locations[0]
WEIGHTS = os.path.join(PACKAGE, "data", "silero_vad_16k.safetensors")
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


def main():
    chunks = chunks_of_sound()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with h5py.File("x.h5", "w") as file:
            file["x"] = chunks.reshape(STEPS, 1, -1, 1)
            file["cont"] = numpy.float32([[step > 0] for step in range(STEPS)])
        with open("net.prototxt", "w") as file:
            file.write(net_text())
        run = subprocess.run([TRAINER, "extract_features", "--model=net.prototxt", f"--weights={WEIGHTS}", "speech",
                              "speech.npy", "1", "npy"], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert "7 layers loaded, 0 fresh, 0 mismatched, 0 unused" in run.stderr, run.stderr
        speech = numpy.load("speech.npy").ravel()
    wanted = expected(chunks)
    assert wanted.max() > 0.5 and wanted.min() < 0.1, wanted
    numpy.testing.assert_allclose(speech, wanted, rtol=1e-4, atol=1e-5)
    print(f"equal: largest difference {numpy.abs(speech - wanted).max():.1e}")


main()
