"""The peer of tools/bench_data: PyTorch with its DataLoader, on images in memory or JPEG files.

usage: bench_data_peer.py cut FOLDER COUNT PHOTOGRAPHS
       bench_data_peer.py train NET STAGE BATCH ITERATIONS idx IMAGES.gz
       bench_data_peer.py train NET STAGE BATCH ITERATIONS jpeg FOLDER
       bench_data_peer.py load FOLDER pil|io

cut writes COUNT patches of 256x256 of photographs as JPEG files, and a list with labels. train prints images per second
from the first requested batch to the last update, with as many workers as cores; idx keeps the decompressed images in
memory; jpeg decodes, crops and mirrors in the workers. load prints images per second of torchvision's loading alone, the
median of the epochs after the first: pil with its first transforms, io (torchvision.io) with its second ones on tensors.
"""
import glob
import gzip
import os
import random
import sys
import time

import numpy
import torch
from PIL import Image


def cut(folder, count, photographs):
    random.seed(1)
    sources = []
    for path in sorted(glob.glob(f"{photographs}/*.jp*g")):
        image = Image.open(path).convert("RGB")
        if min(image.size) >= 400:
            sources.append(image)
    if not sources:
        raise SystemExit(f"no photographs of at least 400x400 in {photographs}")
    os.makedirs(folder)
    with open(f"{folder}/list.txt", "w", encoding="utf-8") as listing:
        for i in range(int(count)):
            image = random.choice(sources)
            side = random.randint(256, 400)
            x, y = random.randint(0, image.width - side), random.randint(0, image.height - side)
            image.crop((x, y, x + side, y + side)).resize((256, 256), Image.BICUBIC).save(f"{folder}/{i:05d}.jpg", quality=90)
            listing.write(f"{i:05d}.jpg {i % 10}\n")


class Pictures(torch.utils.data.Dataset):
    def __init__(self, folder):
        with open(f"{folder}/list.txt", encoding="utf-8") as listing:
            self.items = [line.split() for line in listing]
        self.folder, self.mean = folder, numpy.array([123, 117, 104], dtype="float32")

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        name, label = self.items[index]
        image = Image.open(f"{self.folder}/{name}").convert("RGB")
        x, y = random.randint(0, 32), random.randint(0, 32)
        image = image.crop((x, y, x + 224, y + 224))
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        pixels = numpy.asarray(image).astype("float32") - self.mean
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), int(label)


class Idx(torch.utils.data.Dataset):
    def __init__(self, path):
        with gzip.open(path) as file:
            self.images = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
        with gzip.open(path.replace("images-idx3", "labels-idx1")) as file:
            self.labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return torch.from_numpy(self.images[index].astype("float32") / 256), int(self.labels[index])


def load(folder, decoder):
    from torchvision import datasets, transforms
    from torchvision.io import decode_image
    from torchvision.transforms import v2

    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    if decoder == "pil":
        steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        steps.append(transforms.Normalize(mean, deviation))
        data = datasets.ImageFolder(folder, transforms.Compose(steps))
    else:
        steps = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()]
        steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, deviation)]
        data = datasets.ImageFolder(folder, v2.Compose(steps), loader=lambda path: decode_image(path, mode="RGB"))
    torch.set_num_threads(1)
    cores = len(os.sched_getaffinity(0))
    loader = torch.utils.data.DataLoader(data, 50, shuffle=True, num_workers=cores, persistent_workers=True)
    speeds = []
    for _ in range(6):
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        speeds.append(count / (time.perf_counter() - start))
    print(f"{sorted(speeds[1:])[2]:.1f}")


def train(path, batch, iterations, kind, source):
    from bench_peer import Net

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    torch.manual_seed(1)
    net = Net(path).to(memory_format=torch.channels_last)
    optimizer = net.optimizer(0.001)
    data = Idx(source) if kind == "idx" else Pictures(source)

    def batches():
        while True:
            yield from torch.utils.data.DataLoader(data, batch, shuffle=True, num_workers=cores, drop_last=True)

    start = time.perf_counter()
    for i, (images, labels) in enumerate(batches()):
        if i == iterations:
            break
        optimizer.zero_grad(set_to_none=True)
        net(images.to(memory_format=torch.channels_last), labels).backward()
        optimizer.step()
    print(f"{batch * iterations / (time.perf_counter() - start):.1f}")


if sys.argv[1] == "cut":
    cut(*sys.argv[2:])
elif sys.argv[1] == "load":
    load(*sys.argv[2:])
else:
    train(sys.argv[2], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6], sys.argv[7])
