"""Compares the metric layers with scikit-learn on random scores. Usage: metrics.py TRAINER"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.pop(0)
import h5py
import numpy
from sklearn import metrics

RECORDS, CLASSES, IGNORED = 1003, 7, 2
NET = """
layer { name: "data" type: "HDF5Data" top: "scores" top: "label" top: "score" top: "answer" top: "image" top: "mask" top: "x" top: "t"
  hdf5_data_param { source: "list.txt" batch_size: BATCH } }
layer { name: "scale" type: "Scale" bottom: "x" top: "y" }
layer { name: "softmax" type: "Softmax" bottom: "scores" top: "p" }
layer { name: "matrix" type: "ConfusionMatrix" bottom: "scores" bottom: "label" }
layer { name: "classes" type: "PrecisionRecall" bottom: "scores" bottom: "label" }
layer { name: "some" type: "PrecisionRecall" bottom: "scores" bottom: "label" metric_param { ignore_label: 2 } }
layer { name: "auc" type: "RocAuc" bottom: "scores" bottom: "label" }
layer { name: "auc_p" type: "RocAuc" bottom: "p" bottom: "label" metric_param { input: PROBABILITIES } }
layer { name: "auc_2" type: "RocAuc" bottom: "score" bottom: "answer" }
layer { name: "ap" type: "AveragePrecision" bottom: "scores" bottom: "label" }
layer { name: "ap_2" type: "AveragePrecision" bottom: "score" bottom: "answer" }
layer { name: "ece" type: "CalibrationError" bottom: "scores" bottom: "label" }
layer { name: "perplexity" type: "Perplexity" bottom: "p" bottom: "label" metric_param { input: PROBABILITIES } }
layer { name: "perplexity_some" type: "Perplexity" bottom: "scores" bottom: "label" metric_param { ignore_label: 2 } }
layer { name: "pixels" type: "SegmentationAccuracy" bottom: "image" bottom: "mask" metric_param { ignore_label: 255 } }
layer { name: "numbers" type: "RegressionErrors" bottom: "y" bottom: "t" }
"""


def random_data():
    random = numpy.random.default_rng(1)
    label = random.choice(CLASSES - 1, RECORDS, p=[0.3, 0.3, 0.2, 0.1, 0.06, 0.04])  # the last class does not occur
    scores = random.normal(size=(RECORDS, CLASSES)) + 1.5 * numpy.eye(CLASSES)[label]
    answer = random.integers(0, 2, RECORDS)
    score = numpy.round(random.normal(size=RECORDS) + answer, 1)  # with ties
    mask = random.integers(0, 4, (RECORDS, 5, 6))
    image = random.normal(size=(RECORDS, 4, 5, 6)) + numpy.moveaxis(numpy.eye(4)[mask], -1, 1)
    mask[random.random(mask.shape) < 0.1] = 255
    t = random.normal([0, 100, -5], [1, 3, 0.1], (RECORDS, 3))
    x = t + random.normal(0, [0.5, 1, 0.2], t.shape)
    values = dict(scores=scores, label=label, score=score[:, None], answer=answer, image=image, mask=mask, x=x, t=t)
    return {name: value.astype(numpy.float32) for name, value in values.items()}


def calibration_errors(p, label, bins=15):
    confidence, correct = p.max(1), p.argmax(1) == label
    bin_of = numpy.clip(numpy.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    errors = [(abs(correct[bin_of == b].mean() - confidence[bin_of == b].mean()), (bin_of == b).mean())
              for b in numpy.unique(bin_of)]
    return sum(error * share for error, share in errors), max(error for error, _ in errors)


def precision_recall(name, label, predicted):
    outputs = {}
    for average, ending in (("macro", ""), ("weighted", "_weighted")):
        numbers = metrics.precision_recall_fscore_support(label, predicted, average=average, zero_division=0)
        outputs |= {f"{name}.{kind}{ending}": number for kind, number in zip(("precision", "recall", "f1"), numbers)}
    outputs[f"{name}.balanced_accuracy"] = metrics.balanced_accuracy_score(label, predicted)
    table = metrics.precision_recall_fscore_support(label, predicted, labels=range(CLASSES), zero_division=numpy.nan)
    return outputs, {name: numpy.array(table).T}


def expected(data):
    scores, image = data["scores"].astype(float), data["image"].astype(float)
    label, answer, score = data["label"].astype(int), data["answer"].astype(int), data["score"][:, 0]
    x, t = data["x"].astype(float), data["t"].astype(float)
    p = numpy.exp(scores)
    p /= p.sum(1, keepdims=True)
    predicted, some = scores.argmax(1), label != IGNORED
    one_hot = numpy.eye(CLASSES)[label]
    used = range(CLASSES - 1)
    areas = [metrics.roc_auc_score(one_hot[:, c], p[:, c]) for c in used] + [numpy.nan]
    precisions = [metrics.average_precision_score(one_hot[:, c], p[:, c]) for c in used] + [numpy.nan]
    error, largest = calibration_errors(p, label)
    counted = data["mask"] != 255
    mask, pixels = data["mask"][counted].astype(int), image.argmax(1)[counted]
    outputs = {
        "matrix.accuracy": metrics.accuracy_score(label, predicted),
        "auc": numpy.nanmean(areas), "auc_p": numpy.nanmean(areas), "auc_2": metrics.roc_auc_score(answer, score),
        "ap": numpy.nanmean(precisions), "ap_2": metrics.average_precision_score(answer, score),
        "ece": error, "ece.max": largest,
        "perplexity": numpy.exp(metrics.log_loss(label, p, labels=range(CLASSES))),
        "perplexity_some": numpy.exp(metrics.log_loss(label[some], p[some], labels=range(CLASSES))),
        "pixels.pixel_accuracy": metrics.accuracy_score(mask, pixels),
        "pixels.mean_accuracy": metrics.balanced_accuracy_score(mask, pixels),
        "pixels.mean_iou": metrics.jaccard_score(mask, pixels, average="macro"),
        "pixels.frequency_weighted_iou": metrics.jaccard_score(mask, pixels, average="weighted"),
        "numbers.mae": metrics.mean_absolute_error(t, x),
        "numbers.rmse": metrics.root_mean_squared_error(t.ravel(), x.ravel()),
        "numbers.r2": metrics.r2_score(t, x),
    }
    per_pixel = [metrics.jaccard_score(mask, pixels, average=None), metrics.recall_score(mask, pixels, average=None)]
    tables = {"auc": numpy.array(areas)[:, None], "auc_p": numpy.array(areas)[:, None],
              "ap": numpy.array(precisions)[:, None], "pixels": numpy.array(per_pixel).T}
    for numbers, table in (precision_recall("classes", label, predicted),
                           precision_recall("some", label[some], predicted[some])):
        outputs |= numbers
        tables |= table
    return outputs, tables, metrics.confusion_matrix(label, predicted, labels=range(CLASSES))


def ours(trainer, folder, batch):
    with open(os.path.join(folder, "net.prototxt"), "w") as net:
        net.write(NET.replace("BATCH", str(batch)))
    command = [trainer, "test", "--model=net.prototxt", "--weights=one.caffemodel.h5", "--json"]
    result = json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)
    outputs = {output["name"]: output["value"] for output in result["outputs"]}
    tables = {table["metric"]: numpy.array(table["rows"], dtype=float) for table in result["tables"]}
    matrices = {matrix["metric"]: matrix["counts"] for matrix in result["confusion_matrices"]}
    counted = {output["name"]: output["counted"] for output in result["outputs"] if "counted" in output}
    return outputs, counted, tables, matrices["matrix"]


def main(trainer):
    trainer = os.path.abspath(trainer)
    data = random_data()
    outputs, tables, matrix = expected(data)
    some = numpy.sum(data["label"] != IGNORED)
    counts = {"some": some, "perplexity_some": some, "pixels": numpy.sum(data["mask"] != 255), "numbers": data["t"].size}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(os.path.join(folder, "data.h5"), "w") as file:
            for name, values in data.items():
                file[name] = values
        with open(os.path.join(folder, "list.txt"), "w") as listing:
            listing.write("data.h5\n")
        with h5py.File(os.path.join(folder, "one.caffemodel.h5"), "w") as weights:
            weights["data/scale/0"] = numpy.ones(3, numpy.float32)
        for batch in (1, 64, RECORDS):
            mine, my_counts, my_tables, my_matrix = ours(trainer, folder, batch)
            compare = lambda what, a, b: numpy.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True) or wrong.append(
                f"batch {batch}: {what} is {a}, in scikit-learn {b}")
            assert set(outputs) <= set(mine) and set(tables) <= set(my_tables), (sorted(mine), sorted(my_tables))
            for name, value in outputs.items():
                compare(name, mine[name], value)
                compare(f"the number of items of {name}", my_counts[name], counts.get(name.split(".")[0], RECORDS))
            for name, table in tables.items():
                compare(f"the table of {name}", my_tables[name], table)
            compare("the confusion matrix", my_matrix, matrix)
    print("\n".join(wrong) or f"{len(outputs)} values and {len(tables)} tables agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
