"""Compares the types of cuDNN's attributes in tests/emulated_gpu/cudnn_attributes.h with the types in NVIDIA's C++ headers.

usage: cudnn_attributes.py TRAINER

The headers are part of the Python package nvidia-cudnn-frontend. Their scales have the type of the operation's sums
("alphabetaType", "attr_type"): float unless the sums are doubles.
"""
import os
import pathlib
import re
import sys
import sysconfig

SCALES = {"m_operation.alphabetaType", "attr_type"}


def types_in_headers(folder):
    types = {}
    for header in folder.rglob("*.h"):
        text = re.sub(r"//[^\n]*", "", header.read_text(encoding="utf-8", errors="replace"))
        for name, given in re.findall(r"\b(CUDNN_ATTR_\w+)\s*,\s*([\w.]+)\s*,", text):
            types.setdefault(name, set()).add("CUDNN_TYPE_SCALE" if given in SCALES else given)
    return types


def main():
    source = pathlib.Path(os.path.dirname(os.path.abspath(__file__))).parent / "emulated_gpu" / "cudnn_attributes.h"
    ours = re.findall(r"X\((CUDNN_ATTR_\w+), (\w+)\)", source.read_text(encoding="utf-8"))
    theirs = types_in_headers(pathlib.Path(sysconfig.get_path("purelib")) / "include")
    wrong = [f"{name}: {given} here, {sorted(theirs.get(name, {'not set'}))} there" for name, given in ours if theirs.get(name) != {given}]
    print("\n".join(wrong) or f"{len(ours)} attributes agree")
    sys.exit(0 if len(ours) > 50 and not wrong else 1)


main()
