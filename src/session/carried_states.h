// What recurrent layers hand from one pass of a net to the next: states of the store that are this net's own, one for
// each shape, as programs for other numbers of items have others.
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

  // The name in the store of what the net calls `name`.
  std::string stored_name(const std::string& name, const Shape& shape) const;
  // Before a pass of a program whose states have these shapes: where the number of items changes, the first ones go on
  // and more begin with zeros.
  void hand_over(const std::map<std::string, Shape>& shapes);

  std::map<std::string, CarriedState> values() const;
  // States that are not named stay as they are.
  void set(const std::map<std::string, CarriedState>& values);

 private:
  void write(const std::string& name, const Shape& shape, std::vector<float> values);

  StateStore& store_;
  const int ordinal_;                    // among the process's sessions
  std::map<std::string, Shape> shapes_;  // in which each was last written
};

}  // namespace trainer
