// States of recurrent layers in the store, by net and shape.
#include "session/carried_states.h"

#include <utility>

#include "session/state_names.h"

namespace trainer {

std::string CarriedStates::stored_name(const std::string& name, const Shape& shape) const {
  return carried_state(ordinal_, name, shape);
}

void CarriedStates::write(const std::string& name, const Shape& shape, std::vector<float> values) {
  const std::string stored = stored_name(name, shape);
  if (!store_.contains(stored)) store_.add(stored, shape);
  values.resize(static_cast<size_t>(shape.count()), 0.0f);
  store_.write(stored, values.data());
  shapes_[name] = shape;
}

void CarriedStates::hand_over(const std::map<std::string, Shape>& shapes) {
  for (const auto& [name, shape] : shapes) {
    const auto [last, first_time] = shapes_.try_emplace(name, shape);
    if (!first_time && last->second != shape) write(name, shape, store_.read(stored_name(name, last->second)));
  }
}

std::map<std::string, CarriedState> CarriedStates::values() const {
  std::map<std::string, CarriedState> values;
  for (const auto& [name, shape] : shapes_) values[name] = {shape, store_.read(stored_name(name, shape))};
  return values;
}

void CarriedStates::set(const std::map<std::string, CarriedState>& values) {
  for (const auto& [name, state] : values) write(name, state.shape, state.values);
}

}  // namespace trainer
