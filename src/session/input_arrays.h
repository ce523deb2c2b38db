// Arrays of the caller as tops of Input layers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "session/data_layers.h"

namespace trainer {

struct NetProgram;

class InputArrays {
 public:
  // No array: Input layers hold zeros.
  InputArrays() = default;
  // One array for each top of an Input layer, of the shape in `given` or else in the layer. Throws a config_error for a
  // shape of another blob, or one that no blob can have.
  InputArrays(const caffe::NetParameter& net, const GivenShapes& given);

  std::vector<std::string> names() const;
  // Throws a config_error for an unknown top, a shape that no blob can have, or an array of another size.
  const Shape& shape(const std::string& top) const;
  void set(const std::string& top, std::span<const float> values, const std::optional<Shape>& shape);

  // Shapes of all tops.
  std::vector<Shape> shapes() const;
  // Whether the last of these shapes are those of the tops.
  bool fit(const std::vector<Shape>& shapes_of_program) const;
  // Shapes of the tops of this layer; none if it is not an Input layer with arrays.
  std::vector<Shape> shapes_of(const caffe::LayerParameter& layer) const;

  bool fills(const SourceInfo& source) const { return find(source) != nullptr; }
  // Sets the order of the sources that arrays fill: arrays are row-major.
  void settle_orders(Graph& graph) const;
  // Lets the program read the arrays. Copies them for a device that does not read the host's memory. Throws a
  // config_error if an array is not set.
  void hand_to(NetProgram& program, Device& device) const;

 private:
  struct Input {
    const caffe::LayerParameter* message;
    int layer, top;
    std::string name;
    Shape shape;
    std::span<const float> values;
  };

  const Input* find(const SourceInfo& source) const;
  size_t index_of(const std::string& top) const;

  std::vector<Input> inputs_;
};

}  // namespace trainer
