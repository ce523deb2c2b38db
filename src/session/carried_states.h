// The states that recurrent layers carry from one pass of a net to the next. Each net session has states of its own,
// one for each shape, as programs for different batch sizes have different shapes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "session/device_session.h"

namespace trainer {

struct CarriedState {
  Shape shape;
  std::vector<float> values;
};

class CarriedStates {
 public:
  explicit CarriedStates(DeviceSession& device_session)
      : store_(device_session.store), ordinal_(device_session.sessions++) {}

  // The name in the store of the net's state `name`.
  std::string stored_name(const std::string& name, const Shape& shape) const;
  // Call before a pass of a program whose states have these shapes. If the number of items changes, the first items
  // keep their values and further ones start with zeros.
  void hand_over(const std::map<std::string, Shape>& shapes);

  std::map<std::string, CarriedState> values() const;
  // Other states keep their values.
  void set(const std::map<std::string, CarriedState>& values);

 private:
  void write(const std::string& name, const Shape& shape, std::vector<float> values);

  StateStore& store_;
  const int ordinal_;                    // among the net sessions of the device session
  std::map<std::string, Shape> shapes_;  // in which each state was last written
};

}  // namespace trainer
