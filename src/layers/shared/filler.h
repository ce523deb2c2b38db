// Caffe's fillers: how a learned blob starts. Equal to Caffe's in distribution, not in bits: draws are
// Philox, a pure function of (key, element), so that one blob's start depends on no other.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tensor/shape.h"
#include "trainer.pb.h"

namespace trainer {

// What is wrong with the filler for a blob of this shape, or "". `field` receives the faulty field's name.
std::string check_filler(const caffe::FillerParameter& filler, const Shape& shape, std::string* field);

// n of the xavier and msra fillers: the fan in, the fan out, or the mean of both, by variance_norm.
float fan_of(const caffe::FillerParameter& filler, const Shape& shape);

// Fills `out` (shape.count() floats, row-major). The filler must have passed check_filler.
void fill(const caffe::FillerParameter& filler, const Shape& shape, uint64_t key, std::span<float> out);

}  // namespace trainer
