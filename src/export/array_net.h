// A net on the CPU that computes its outputs from arrays. An exported file must compute the same.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "export/exported_net.h"
#include "session/net_session.h"

namespace trainer {

struct NamedArray {
  Shape shape;
  std::vector<float> values;
};
using NamedArrays = std::map<std::string, NamedArray>;

class ArrayNet {
 public:
  // `net` has Input layers in place of data layers. A layer without blobs has the values of its fillers. `shapes`:
  // those of the inputs that differ from the net's own.
  ArrayNet(const ExportedNet& net, const GivenShapes& shapes);

  const LoweredNet& lowered() const { return session_.lowered(); }
  // Takes the values of all layers from a weight file, as --weights does. Throws if the file lacks a layer.
  void load(const std::string& path);
  // Random numbers in (-1, 1], or labels, for all inputs. The marks of sequences are those of one sequence.
  NamedArrays random_inputs() const;
  // The outputs by name, and the scores of probabilities among them.
  NamedArrays run(const NamedArrays& inputs);

 private:
  const caffe::NetParameter message_;
  const Positions positions_;
  DeviceSession device_session_;
  NetSession session_;
  const std::vector<std::string> compared_, marks_;
};

// Lowers the net for these shapes of its inputs; nullptr if it does not fit them.
std::unique_ptr<LoweredNet> try_to_lower(const caffe::NetParameter& net, const GivenShapes& shapes);

// The shapes of all inputs; with `batch` as their first extent if it is not 0.
GivenShapes input_shapes(const caffe::NetParameter& net, int64_t batch);

// The largest difference, over all outputs, relative to the largest value of the output. Infinite if an output is
// missing or has another shape.
double largest_difference(const NamedArrays& expected, const NamedArrays& actual);

}  // namespace trainer
