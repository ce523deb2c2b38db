// Classifies the items of a NumPy array with a trained net and prints the most probable classes of each:
//
//   classify MODEL WEIGHTS ARRAY.npy [CLASSES]
//
// MODEL has an Input layer and an output with a probability for each class. The array is of floats in C order, a row
// for each item, preprocessed as for training.
#include <trainer/trainer.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Array {
  trainer::Dims dims;
  std::vector<float> values;
};

// Reads version 1.0 of the format: 10 bytes, a header "{'descr': '<f4', ..., 'shape': (2, 3), }", the values.
Array read_npy(const char* path) {
  std::ifstream in(path, std::ios::binary);
  char start[10] = {};
  if (!in.read(start, sizeof start) || std::string(start, 6) != "\x93NUMPY")
    throw std::runtime_error(std::string(path) + " is not a NumPy array");
  std::string header(static_cast<unsigned char>(start[8]) + 256u * static_cast<unsigned char>(start[9]), ' ');
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  if (header.find("'<f4'") == std::string::npos || header.find("'fortran_order': False") == std::string::npos)
    throw std::runtime_error(std::string(path) + " does not hold floats in C order");
  Array array;
  const size_t open = header.find('('), close = header.find(')');
  std::istringstream extents(header.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(extents, word, ',');) {
    if (word.find_first_of("0123456789") != std::string::npos) array.dims.push_back(std::stoll(word));
  }
  const int64_t count = std::accumulate(array.dims.begin(), array.dims.end(), int64_t{1}, std::multiplies<>());
  array.values.resize(static_cast<size_t>(count));
  if (!in.read(reinterpret_cast<char*>(array.values.data()), static_cast<std::streamsize>(count * 4)))
    throw std::runtime_error(std::string(path) + " is cut short");
  return array;
}

void classify(const char* model, const char* weights, const Array& array, size_t classes) {
  trainer::NetOptions options;
  options.model = model;
  options.weights = weights;
  trainer::Net net(options);
  net.set_input(net.inputs().front(), array.values, array.dims);
  net.forward();

  const std::string output = net.outputs().front();
  const std::vector<float> scores = net.read(output);
  const size_t width = scores.size() / static_cast<size_t>(array.dims.front());
  std::vector<size_t> order(width);
  for (size_t item = 0; item * width < scores.size(); ++item) {
    const float* row = &scores[item * width];
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [row](size_t a, size_t b) { return row[a] > row[b]; });
    std::printf("item %zu:", item);
    for (size_t i = 0; i < std::min(classes, width); ++i) std::printf(" %zu (%.6g)", order[i], row[order[i]]);
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s MODEL WEIGHTS ARRAY.npy [CLASSES]\n", argv[0]);
    return 2;
  }
  try {
    classify(argv[1], argv[2], read_npy(argv[3]), argc == 5 ? std::strtoul(argv[4], nullptr, 10) : 5);
    return 0;
  } catch (const trainer::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
