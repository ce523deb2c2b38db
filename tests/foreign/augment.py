"""Checks the steps of augment against torchvision and Pillow. Usage: augment.py TRAINER

What a step draws is not known here: each result is compared with those of torchvision for all draws, or for the draw
that is nearest.
"""
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import numpy
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BICUBIC, NEAREST, BILINEAR = InterpolationMode.BICUBIC, InterpolationMode.NEAREST, InterpolationMode.BILINEAR
SIDE = 64  # of the images of random steps
ROUNDS = 4  # draws of each image

# Steps without draws: the steps, the same in torchvision, and the largest difference in grey levels.
FIXED = [
    ("resize { short_side: 64 } } augment { center_crop { size: 56 }",
     [transforms.Resize(64), transforms.CenterCrop(56)], 1),
    ("resize { short_side: 300 } } augment { center_crop { size: 224 }",
     [transforms.Resize(300), transforms.CenterCrop(224)], 1),
    ("resize { height: 100 width: 37 filter: BICUBIC }", [transforms.Resize((100, 37), BICUBIC)], 1),
    ("center_crop { height: 51 width: 80 }", [transforms.CenterCrop((51, 80))], 0),
]


def always(change):
    return lambda image: [lambda: change(image)]


# The results of one change for factors from `low` to `high`.
def factors(change, low, high):
    return lambda image: ((lambda factor: change(image, float(factor))), low, high)


# The results of each operation with each strength. `space` has their names, strengths and whether these have signs.
def operations(space):
    def results(image):
        found = []
        for name, (strengths, signed) in space.items():
            for strength in numpy.atleast_1d(strengths.numpy()).tolist():
                for sign in [1, -1] if signed else [1]:
                    found.append(lambda n=name, s=sign * strength: transforms.autoaugment._apply_op(
                        image, n, float(s), interpolation=NEAREST, fill=[0, 0, 0]))
        return found
    return results


def rand_augment_space(magnitude):
    space = transforms.RandAugment()._augmentation_space(31, (SIDE, SIDE))
    return {name: (s if s.ndim == 0 else s[magnitude], signed) for name, (s, signed) in space.items()}


# Steps with draws: the step, the results that torchvision may have, and the largest difference in grey levels.
RANDOM = [
    ("horizontal_flip { probability: 1 }", always(functional.hflip), 0),
    ("vertical_flip { probability: 1 }", always(functional.vflip), 0),
    ("horizontal_flip { }", lambda image: [lambda: image, lambda: functional.hflip(image)], 0),
    ("grayscale { probability: 1 }", always(lambda image: functional.rgb_to_grayscale(image, 3)), 1),
    ("color_jitter { brightness: 0.6 }", factors(functional.adjust_brightness, 0.4, 1.6), 1),
    ("color_jitter { contrast: 0.6 }", factors(functional.adjust_contrast, 0.4, 1.6), 1),
    ("color_jitter { saturation: 0.6 }", factors(functional.adjust_saturation, 0.4, 1.6), 1),
    ("color_jitter { hue: 0.4 }", factors(functional.adjust_hue, -0.4, 0.4), 1),
    ("blur { kernel: 7 sigma_min: 0.5 sigma_max: 2 }",
     factors(lambda image, sigma: functional.gaussian_blur(image, [7, 7], [sigma, sigma]), 0.5, 2), 1),
    ("rotation { degrees: 30 bilinear: true }",
     factors(lambda image, angle: functional.rotate(image, angle, BILINEAR), -30, 30), 1),
    ("affine { shear: 20 bilinear: true }",
     factors(lambda image, shear: functional.affine(image, 0, [0, 0], 1, [shear, 0], BILINEAR), -20, 20), 1),
    ("affine { scale_min: 0.7 scale_max: 1.4 bilinear: true }",
     factors(lambda image, scale: functional.affine(image, 0, [0, 0], scale, [0, 0], BILINEAR), 0.7, 1.4), 1),
    ("trivial_augment { }", operations(transforms.TrivialAugmentWide()._augmentation_space(31)), 1),
    # Strengths whose shears put no pixel in the middle between two.
    ("rand_augment { operations: 1 magnitude: 19 }", operations(rand_augment_space(19)), 1),
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


def ours(trainer, folder, steps, count, phase="TEST"):
    with open(os.path.join(folder, "net.prototxt"), "w") as net:
        net.write(f"""layer {{ name: "data" type: "ImageData" top: "data" top: "label" phase: {phase}
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


def distance(ours, result):
    return numpy.abs(ours - result().numpy().astype(float)).mean()


# The result nearest to `ours`: of a list, or of a function of a factor between two bounds.
def nearest(ours, candidates):
    if isinstance(candidates, list):
        return min(candidates, key=lambda result: distance(ours, result))().numpy()
    change, low, high = candidates
    first, last = low, high
    for _ in range(4):
        grid = numpy.linspace(low, high, 31)
        best = min(grid, key=lambda factor: distance(ours, lambda: change(factor)))
        step = grid[1] - grid[0]
        low, high = max(first, best - step), min(last, best + step)
    return change(best).numpy()


def check_fixed(trainer, folder, names):
    for text, steps, tolerance in FIXED:
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


def check_random(trainer, folder, names):
    crop = f"center_crop {{ size: {SIDE} }} }} augment {{ "
    images = [torch.from_numpy(theirs(folder, name, [transforms.CenterCrop(SIDE)])).to(torch.uint8) for name in names]
    for text, results, tolerance in RANDOM:
        values = ours(trainer, folder, crop + text, len(names) * ROUNDS, "TRAIN")
        for i, value in enumerate(values):
            difference = numpy.abs(value - nearest(value, results(images[i % len(names)]))).max()
            assert difference <= tolerance, f"{text}: result {i} differs by {difference}"
        print(f"{text}: within {tolerance}")


def main(trainer):
    trainer = os.path.abspath(trainer)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        names = pictures(folder)
        check_fixed(trainer, folder, names)
        check_random(trainer, folder, names)


main(sys.argv[1])
