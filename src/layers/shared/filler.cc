// The fillers: constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear.
#include "layers/shared/filler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"

namespace trainer {
namespace {

// Philox streams of one key: the values, and the choice of values that a sparse gaussian keeps.
constexpr uint64_t kValues = 0, kKept = 1;

constexpr float kTwoPi = 6.28318530718f;

// out[i] = draw(Philox block of i, lane of i): four elements share a block.
template <typename Draw>
void fill_blocks(uint64_t key, uint64_t stream, std::span<float> out, Draw draw) {
  const int64_t blocks = static_cast<int64_t>((out.size() + 3) / 4);
#pragma omp parallel for schedule(static) if (blocks > 16384)
  for (int64_t block = 0; block < blocks; ++block) {
    const std::array<float, 4> values = draw(philox(key, stream, static_cast<uint64_t>(block)));
    const size_t begin = static_cast<size_t>(block) * 4;
    for (size_t i = begin; i < std::min(begin + 4, out.size()); ++i) out[i] = values[i - begin];
  }
}

void fill_uniform(float low, float high, uint64_t key, uint64_t stream, std::span<float> out) {
  const float below_high = std::max(low, std::nextafter(high, low));
  fill_blocks(key, stream, out, [=](const PhiloxBlock& block) {
    std::array<float, 4> values;
    for (size_t i = 0; i < 4; ++i) values[i] = std::min(low + (high - low) * uniform_from_bits(block[i]), below_high);
    return values;
  });
}

void fill_gaussian(float mean, float deviation, uint64_t key, std::span<float> out) {
  fill_blocks(key, kValues, out, [=](const PhiloxBlock& block) {
    std::array<float, 4> values;
    for (size_t i = 0; i < 4; i += 2) {
      const float radius = deviation * std::sqrt(-2.0f * std::log(uniform_from_bits(block[i])));
      const float angle = kTwoPi * uniform_from_bits(block[i + 1]);
      values[i] = mean + radius * std::cos(angle);
      values[i + 1] = mean + radius * std::sin(angle);
    }
    return values;
  });
}

void keep_share(float share, uint64_t key, std::span<float> out) {
  std::vector<float> drawn(out.size());
  fill_uniform(0, 1, key, kKept, drawn);
  for (size_t i = 0; i < out.size(); ++i)
    if (drawn[i] >= share) out[i] = 0;
}

void fill_positive_unitball(const Shape& shape, uint64_t key, std::span<float> out) {
  fill_uniform(0, 1, key, kValues, out);
  const size_t row = static_cast<size_t>(shape.count(1));
  for (size_t begin = 0; begin < out.size(); begin += row) {
    double sum = 0;
    for (size_t i = begin; i < begin + row; ++i) sum += out[i];
    for (size_t i = begin; i < begin + row; ++i) out[i] = static_cast<float>(out[i] / sum);
  }
}

void fill_bilinear(const Shape& shape, std::span<float> out) {
  const size_t side = static_cast<size_t>(shape[3]);
  const float factor = std::ceil(static_cast<float>(side) / 2);
  const float middle = (static_cast<float>(side) - 1) / (2 * factor);
  for (size_t i = 0; i < out.size(); ++i) {
    const float x = static_cast<float>(i % side), y = static_cast<float>(i / side % side);
    out[i] = (1 - std::fabs(x / factor - middle)) * (1 - std::fabs(y / factor - middle));
  }
}

}  // namespace

float fan_of(const caffe::FillerParameter& filler, const Shape& shape) {
  const int64_t count = shape.count();
  const int64_t fan_in = shape.rank() > 0 ? count / shape[0] : count;
  const int64_t fan_out = shape.rank() > 1 ? count / shape[1] : count;
  switch (filler.variance_norm()) {
    case caffe::FillerParameter::FAN_OUT: return static_cast<float>(fan_out);
    case caffe::FillerParameter::AVERAGE: return static_cast<float>(fan_in + fan_out) / 2;
    case caffe::FillerParameter::FAN_IN: break;
  }
  return static_cast<float>(fan_in);
}

std::string check_filler(const caffe::FillerParameter& filler, const Shape& shape, std::string* field) {
  const std::string& type = filler.type();
  static const std::vector<std::string> kTypes{"bilinear", "constant",          "gaussian", "msra",
                                               "uniform",  "positive_unitball", "xavier"};
  *field = "type";
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
    return fmt::format("unknown filler \"{}\"{}; the fillers are {}", type,
                       suggest(type, kTypes, ": did you mean \"{}\"?"), fmt::join(kTypes, ", "));
  }
  if (type == "bilinear" && (shape.rank() != 4 || shape[2] != shape[3]))
    return fmt::format("filler \"bilinear\" needs 4 axes and a square filter; the blob is {}", shape.text());
  if (filler.sparse() != -1) {
    *field = "sparse";
    if (type != "gaussian") return fmt::format("only filler \"gaussian\" accepts sparse; \"{}\" does not", type);
    if (filler.sparse() < 0)
      return fmt::format("sparse is {}; it must be a number of elements, or -1 for all", filler.sparse());
    if (shape.rank() == 0) return "a scalar blob cannot have a sparse filler";
  }
  if (type == "gaussian" && !(filler.std() > 0)) {
    *field = "std";
    return fmt::format("std is {}; it must be greater than 0", filler.std());
  }
  if (type == "uniform" && !(filler.min() <= filler.max())) {
    *field = "min";
    return fmt::format("min {} is greater than max {}", filler.min(), filler.max());
  }
  *field = "";
  return "";
}

void fill(const caffe::FillerParameter& filler, const Shape& shape, uint64_t key, std::span<float> out) {
  TRAINER_ASSERT(static_cast<int64_t>(out.size()) == shape.count());
  const std::string& type = filler.type();
  if (type == "uniform") return fill_uniform(filler.min(), filler.max(), key, kValues, out);
  if (type == "positive_unitball") return fill_positive_unitball(shape, key, out);
  if (type == "bilinear") return fill_bilinear(shape, out);
  if (type == "msra") return fill_gaussian(0, std::sqrt(2 / fan_of(filler, shape)), key, out);
  if (type == "xavier") {
    const float bound = std::sqrt(3 / fan_of(filler, shape));
    return fill_uniform(-bound, bound, key, kValues, out);
  }
  if (type == "gaussian") {
    fill_gaussian(filler.mean(), filler.std(), key, out);
    if (filler.sparse() >= 0) keep_share(static_cast<float>(filler.sparse()) / static_cast<float>(shape[0]), key, out);
    return;
  }
  std::fill(out.begin(), out.end(), filler.value());
}

}  // namespace trainer
