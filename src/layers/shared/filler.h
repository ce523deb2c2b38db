// Caffe's fillers: the initial values of a learned blob. They have Caffe's distributions, but other values: Philox
// draws are a pure function of (key, element), so the values of a blob do not depend on other blobs.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tensor/shape.h"
#include "trainer.pb.h"

namespace trainer {

// Returns the problem of the filler for a blob of this shape, or "". Sets `field` to the name of the faulty field.
std::string check_filler(const caffe::FillerParameter& filler, const Shape& shape, std::string* field);

// n of the xavier and msra fillers: the fan-in, the fan-out, or their mean, by variance_norm.
float fan_of(const caffe::FillerParameter& filler, const Shape& shape);

// Fills `out` (shape.count() floats, row-major). The filler must have passed check_filler.
void fill(const caffe::FillerParameter& filler, const Shape& shape, uint64_t key, std::span<float> out);

}  // namespace trainer
