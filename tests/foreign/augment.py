"""Checks steps of augment without random draws against torchvision and Pillow. Usage: augment.py TRAINER"""
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import numpy
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BICUBIC = InterpolationMode.BICUBIC

# The steps, the same in torchvision, and the largest difference in grey levels.
CASES = [
    ("resize { short_side: 64 } } augment { center_crop { size: 56 }",
     [transforms.Resize(64), transforms.CenterCrop(56)], 1),
    ("resize { short_side: 300 } } augment { center_crop { size: 224 }",
     [transforms.Resize(300), transforms.CenterCrop(224)], 1),
    ("resize { height: 100 width: 37 filter: BICUBIC }", [transforms.Resize((100, 37), BICUBIC)], 1),
    ("center_crop { height: 51 width: 80 }", [transforms.CenterCrop((51, 80))], 0),
]


def pictures(folder):
    random = numpy.random.default_rng(1)
    with open(os.path.join(folder, "list.txt"), "w") as listing:
        for i, (height, width) in enumerate([(375, 500), (400, 301), (257, 999), (128, 128)]):
            coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=numpy.uint8))
            noise = random.normal(0, 8, (height, width, 3))
            pixels = numpy.asarray(coarse.resize((width, height), Image.BICUBIC)) + noise
            Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(os.path.join(folder, f"{i}.jpg"), quality=90)
            listing.write(f"{i}.jpg {i}\n")
    return [f"{i}.jpg" for i in range(4)]


def ours(trainer, folder, steps, count):
    with open(os.path.join(folder, "net.prototxt"), "w") as net:
        net.write(f"""layer {{ name: "data" type: "ImageData" top: "data" top: "label"
          transform_param {{ channel_order: RGB augment {{ {steps} }} }}
          image_data_param {{ source: "list.txt" batch_size: 1 exact_decode: true }} }}""")
    values = os.path.join(folder, "values.npy")
    if os.path.exists(values):
        os.remove(values)
    subprocess.run([trainer, "extract_features", "none", "net.prototxt", "data", values, str(count), "npy"],
                   cwd=folder, check=True, capture_output=True)
    return numpy.load(values)


def theirs(folder, name, steps):
    image = transforms.Compose(steps)(Image.open(os.path.join(folder, name)).convert("RGB"))
    return numpy.asarray(image).astype(float).transpose(2, 0, 1)


def main(trainer):
    trainer = os.path.abspath(trainer)
    with tempfile.TemporaryDirectory() as folder:
        names = pictures(folder)
        for text, steps, tolerance in CASES:
            values = ours(trainer, folder, text, len(names))
            for i, name in enumerate(names):
                difference = numpy.abs(values[i] - theirs(folder, name, steps)).max()
                assert difference <= tolerance, f"{text}: {name} differs by {difference}"
            print(f"{text}: within {tolerance}")
        normalize = f"normalize {{ {' '.join(f'mean: {m}' for m in MEAN)} {' '.join(f'std: {d}' for d in DEVIATION)} }}"
        values = ours(trainer, folder, "center_crop { size: 100 } } augment { " + normalize, len(names))
        for i, name in enumerate(names):
            image = transforms.CenterCrop(100)(Image.open(os.path.join(folder, name)))
            expected = transforms.Normalize(MEAN, DEVIATION)(transforms.ToTensor()(image)).numpy()
            assert numpy.abs(values[i] - expected).max() < 1e-5, "normalize"
        print("normalize: within 1e-5")


main(sys.argv[1])
