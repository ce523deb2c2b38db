"""Reads weight files of PyTorch, safetensors, ONNX and NumPy, and has ours read by safetensors and h5py. Usage: weights.py TRAINER"""
import collections
import json
import os
import subprocess
import sys
import tempfile
import zipfile

sys.path.pop(0)
import h5py
import numpy
import onnx
import safetensors.numpy
import safetensors.torch
import torch
from onnx import helper, numpy_helper

TRAINER = os.path.realpath(sys.argv[1])
FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8]
torch.manual_seed(1)


def trainer(*words, code=0):
    run = subprocess.run([TRAINER, *words], capture_output=True, text=True)
    assert run.returncode == code, (words, run.returncode, run.stderr)
    return run.stdout + run.stderr


def random_tensors():
    """Tensors of all types, of several shapes and strides, some in one storage."""
    tensors = collections.OrderedDict()
    for i, dtype in enumerate(FLOATS * 3):
        shape = [(3, 4), (), (2, 3, 1, 5), (0, 2), (7,)][i % 5]
        tensors[f"float.{i}"] = torch.randn(shape).to(dtype)
    for dtype in INTEGERS:
        tensors[f"integer.{str(dtype)[6:]}"] = torch.randint(0, 100, (4, 3)).to(dtype)
    tensors["integer.bool"] = torch.rand(3, 2) > 0.5
    base = torch.randn(6, 5, 4)
    tensors |= {"view.transposed": base.permute(2, 0, 1), "view.steps": base[1:5:2, ::2, 1], "view.whole": base,
                "view.last": base[5], "view.channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)}
    tensors["parameter"] = torch.nn.Parameter(torch.randn(3, 3))
    return tensors


def as_numpy(tensor):
    return (tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()).numpy()


def onnx_tensor(name, tensor):
    if tensor.dtype != torch.bfloat16:
        return numpy_helper.from_array(numpy.ascontiguousarray(as_numpy(tensor)), name)
    bits = tensor.detach().contiguous().view(torch.int16).numpy()
    return helper.make_tensor(name, onnx.TensorProto.BFLOAT16, tensor.shape, bits.tobytes(), raw=True)


def save_onnx(path, tensors, **options):
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [value],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])], tensors)
    onnx.save_model(helper.make_model(graph), path, **options)


def write_all(tensors):
    """Writes the tensors in all formats; returns the files."""
    dense = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    arrays = {name: as_numpy(tensor) for name, tensor in tensors.items()}
    torch.save(tensors, "zip.pth")
    torch.save(tensors, "protocol4.pth", pickle_protocol=4)
    torch.save(tensors, "legacy.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(dense, "one.safetensors", metadata={"format": "pt"})
    names = list(dense)
    parts = {"1.safetensors": names[::2], "2.safetensors": names[1::2]}
    for part, members in parts.items():
        safetensors.torch.save_file({name: dense[name] for name in members}, part)
    with open("model.safetensors.index.json", "w") as file:
        json.dump({"metadata": {}, "weight_map": {name: part for part in parts for name in parts[part]}}, file)
    numpy.savez("stored.npz", **arrays)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 50  # as for archives beyond 4 GiB
    numpy.savez("large.npz", **arrays)
    zipfile.ZIP64_LIMIT = limit
    numpy.savez_compressed("deflated.npz", **{n: numpy.asfortranarray(a) for n, a in arrays.items()})
    save_onnx("raw.onnx", [onnx_tensor(*item) for item in dense.items()])
    save_onnx("external.onnx", [onnx_tensor(*item) for item in dense.items()], save_as_external_data=True,
              location="external.data", size_threshold=0)
    return ["zip.pth", "protocol4.pth", "legacy.pth", "one.safetensors", "model.safetensors.index.json", "stored.npz", "large.npz",
            "deflated.npz", "raw.onnx", "external.onnx"]


def check_values(file, tensors):
    trainer("weights", "merge", file, "--output=out.safetensors", "--overwrite")
    back = safetensors.numpy.load_file("out.safetensors")
    assert set(back) == set(tensors), (file, set(back) ^ set(tensors))
    for name, tensor in tensors.items():
        numpy.testing.assert_array_equal(back[name], tensor.detach().to(torch.float32).numpy(), f"{file} {name}")


def check_typed_onnx():
    """Initializers in the fields of single types instead of raw bytes."""
    cases = {"FLOAT": [1, 2.5, -3], "FLOAT16": [1.5, -2, 0.25], "DOUBLE": [1e-3, 2, 3], "INT8": [-1, 2, 3],
             "INT32": [-1, 2, 70000], "INT64": [-1, 2, 1 << 40], "UINT8": [1, 2, 255], "UINT64": [1, 2, 3], "BOOL": [0, 1, 1]}
    save_onnx("typed.onnx", [helper.make_tensor(t, getattr(onnx.TensorProto, t), (3,), v) for t, v in cases.items()])
    trainer("weights", "merge", "typed.onnx", "--output=typed.safetensors")
    for name, values in safetensors.numpy.load_file("typed.safetensors").items():
        numpy.testing.assert_array_equal(values, numpy.float32(cases[name]), name)


def check_net():
    """A net of ours with the weights of a PyTorch module computes what the module computes."""
    module = torch.nn.Sequential(collections.OrderedDict(
        conv=torch.nn.Conv2d(2, 4, 3, bias=False), bn=torch.nn.BatchNorm2d(4), relu=torch.nn.ReLU(),
        flatten=torch.nn.Flatten(), fc=torch.nn.Linear(64, 5)))
    for _ in range(3):
        module(torch.randn(8, 2, 6, 6))
    with torch.no_grad():
        module.bn.weight.uniform_(0.5, 2)
        module.bn.bias.uniform_(-1, 1)
    module.eval()
    x = torch.randn(4, 2, 6, 6)
    with h5py.File("data.h5", "w") as file:
        file["x"] = x.numpy()
    with open("list.txt", "w") as file:
        file.write("data.h5\n")
    with open("net.prototxt", "w") as file:
        file.write("""
            layer { name: "data" type: "HDF5Data" top: "x" hdf5_data_param { source: "list.txt" batch_size: 4 } }
            layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
              convolution_param { num_output: 4 kernel_size: 3 bias_term: false } }
            layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
            layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
            layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
            layer { name: "fc" type: "InnerProduct" bottom: "bn" top: "fc" inner_product_param { num_output: 5 } }""")
    state = module.state_dict()
    torch.save({"epoch": 3, "model": state, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}, "checkpoint.pth")
    safetensors.torch.save_file(state, "module.safetensors")
    torch.save({f"backbone.{name}": value for name, value in state.items()}, "other.pth")
    with open("map.txt", "w") as file:
        file.write("conv/0 backbone.conv.weight\nbn/0 backbone.bn.running_mean\nbn/1 backbone.bn.running_var\n"
                   "scale/0 backbone.bn.weight\nscale/1 backbone.bn.bias\nfc/0 backbone.fc.weight\nfc/1 backbone.fc.bias\n")
    wanted = module(x).detach().numpy()
    for i, words in enumerate([["checkpoint.pth"], ["module.safetensors"], ["other.pth", "--weights_map=map.txt"],
                               ["other.pth", "--weights_match=order"]]):
        trainer("extract_features", "--model=net.prototxt", f"--weights={words[0]}", *words[1:], "fc", f"{i}.npy", "1", "npy")
        numpy.testing.assert_allclose(numpy.load(f"{i}.npy"), wanted, rtol=1e-4, atol=1e-5, err_msg=str(words))
    trainer("extract_features", "--model=net.prototxt", "--weights=other.pth", "fc", "x.npy", "1", "npy", code=3)
    # Through our own formats.
    trainer("weights", "rename", "other.pth", "--weights_map=map.txt", "--output=all.safetensors")
    trainer("weights", "strip", "all.safetensors", "--remove=*num_batches_tracked", "--output=own.caffemodel.h5")
    with h5py.File("own.caffemodel.h5") as file:
        numpy.testing.assert_array_equal(file["data/fc/0"][:], state["fc.weight"].numpy())
    trainer("weights", "merge", "own.caffemodel.h5", "--output=own.caffemodel")
    trainer("weights", "compare", "own.caffemodel", "own.caffemodel.h5")
    trainer("weights", "average", "own.caffemodel", "own.caffemodel.h5", "--output=mean.safetensors")
    trainer("weights", "compare", "own.caffemodel", "mean.safetensors")
    listed = json.loads(trainer("weights", "list", "own.caffemodel", "--json"))["files"][0]["tensors"]
    mean = next(tensor["mean"] for tensor in listed if tensor["name"] == "fc/0")
    assert abs(mean - state["fc.weight"].double().mean().item()) < 1e-8, mean


def check_lstm():
    """An LSTM layer with the weights of PyTorch's, whose gates have another order and two biases."""
    steps, items, width = 5, 3, 4
    module = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(width, 6)})
    x, cont = torch.randn(steps, items, width), torch.ones(steps, items)
    cont[0] = 0
    with h5py.File("steps.h5", "w") as file:
        file["x"], file["cont"] = x.numpy(), cont.numpy()
    with open("lstm.prototxt", "w") as file:
        file.write(f"""
            layer {{ name: "data" type: "HDF5Data" top: "x" top: "cont"
              hdf5_data_param {{ source: "steps.h5" batch_size: {steps} }} }}
            layer {{ name: "rnn" type: "LSTM" bottom: "x" bottom: "cont" top: "h" recurrent_param {{ num_output: 6 }} }}""")
    wanted = module["rnn"](x)[0].detach().numpy()
    torch.save(module.state_dict(), "lstm.pth")
    cell = {name.removesuffix("_l0"): value for name, value in module.state_dict().items()}
    safetensors.torch.save_file(cell, "cell.safetensors")
    for i, weights in enumerate(["lstm.pth", "cell.safetensors"]):
        trainer("extract_features", "--model=lstm.prototxt", f"--weights={weights}", "h", f"h{i}.npy", "1", "npy")
        numpy.testing.assert_allclose(numpy.load(f"h{i}.npy").reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-6)


def check_skipped_values():
    """Tensors outside dictionaries are left out, and do not displace the others."""
    wanted = torch.randn(3, 2)
    saved = {"list": [torch.ones(5), torch.zeros(2)], "tuple": (1, None, 2.5), "kept": wanted, "text": "x"}
    for name, options in {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}.items():
        torch.save(saved, f"{name}.mixed", **options)
        check_values(f"{name}.mixed", {"kept": wanted})


def check_refusals():
    torch.save(torch.nn.Linear(2, 2), "module.pth")
    assert "torch.nn.modules.linear.Linear" in trainer("weights", "list", "module.pth", code=3)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for i in range(3):
            os.makedirs(f"{folder}/{i}")
            os.chdir(f"{folder}/{i}")
            tensors = random_tensors()
            for file in write_all(tensors):
                check_values(file, tensors)
        check_typed_onnx()
        check_net()
        check_lstm()
        check_skipped_values()
        check_refusals()
    print("equal")


main()
