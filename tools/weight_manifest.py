#!/usr/bin/env python3
# Writes src/hub/manifest.prototxt from the installed wheels of torchvision and timm:
#
#   tools/weight_manifest.py >src/hub/manifest.prototxt
#
# It reads the wheels only and downloads nothing. The build does not need it.
import math
import os
import re
import sys

import timm
import torchvision
from timm.models import get_pretrained_cfg, list_pretrained
from torchvision import models

# The nets of `trainer new`, and the models whose weights they take.
TORCHVISION = {
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "resnet101": "resnet101",
    "resnext50_32x4d": "resnext50", "vgg16": "vgg16", "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3", "efficientnet_b0": "efficientnet_b0", "squeezenet1_1": "squeezenet",
    "googlenet": "googlenet", "densenet121": "densenet121",
}
TIMM = {"mobilenetv1_100": "mobilenet_v1", "vit_small_patch16_224": "vit_small"}

HEAD = """# Published weights for the nets of `trainer new`. Written by tools/weight_manifest.py.
#
# Names, addresses, sizes and preprocessing are those that the wheels of torchvision {} and timm {} state.
# A name is MODEL.TAG, as torchvision's get_model(MODEL, weights=TAG) and timm's create_model("MODEL.TAG") take it.
#
# torchvision states the first eight digits of the SHA-256 in the file name, and no licence of the weights. timm states
# the licence, and neither size nor checksum."""


def numbers(values):
    return "[" + ", ".join("%g" % v for v in values) + "]"


def entry(name, net, url, sha256, mib, licence, mean, std, short_side, interpolation, crop, renames=()):
    lines = ["weights {", f'  name: "{name}"', f'  net: "{net}"', f'  url: "{url}"']
    if sha256:
        lines.append(f'  sha256: "{sha256}"')
    if mib:
        lines.append("  mib: %g" % mib)
    lines.append(f'  licence: "{licence}"')
    lines.append(f"  preprocessing {{ short_side: {short_side} filter: {interpolation.upper()} crop_size: {crop} "
                 f"mean: {numbers(mean)} std: {numbers(std)} }}")
    for old, new in renames:
        lines.append(f'  rename {{ from: "{old}" to: "{new}" }}')
    lines.append("}")
    print("\n".join(lines))


def from_torchvision(model, net):
    for weights in models.get_model_weights(model):
        if not re.fullmatch(r"IMAGENET1K_V\d+", weights.name):
            continue  # those without a classifier
        file = os.path.basename(weights.url)
        sha256 = re.search(r"-([0-9a-f]{8})\.pth$", file).group(1)
        steps = weights.transforms()
        mean, std = steps.mean, steps.std
        if model == "googlenet":
            # With these weights torchvision's net itself goes over to mean and deviation 0.5 (transform_input).
            mean = std = [0.5, 0.5, 0.5]
        renames = []
        if model == "densenet121":
            # The file has the names of an older net, which torchvision changes as it loads them.
            renames = [(f".{part}.{i}.", f".{part}{i}.") for part in ("norm", "conv") for i in (1, 2)]
        entry(f"{model}.{weights.name}", net, weights.url, sha256, weights.meta["_file_size"],
              weights.meta.get("license", "not stated; code BSD-3-Clause"), mean, std, steps.resize_size[0],
              steps.interpolation.value, steps.crop_size[0], renames)


def from_timm(model, net):
    for name in list_pretrained(model + ".*"):
        cfg = get_pretrained_cfg(name)
        size = cfg.input_size[1]
        entry(name, net, f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors", None, None,
              cfg.license, cfg.mean, cfg.std, math.floor(size / cfg.crop_pct), cfg.interpolation, size)


def main():
    print(HEAD.format(torchvision.__version__.split("+")[0], timm.__version__))
    for model, net in TORCHVISION.items():
        from_torchvision(model, net)
    for model, net in TIMM.items():
        from_timm(model, net)


if __name__ == "__main__":
    sys.exit(main())
