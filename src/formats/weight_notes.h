// What a weight file says about its net, besides the values.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace caffe {
class PictureInput;
}

namespace trainer {

struct WeightNotes {
  std::vector<std::string> class_names;                           // by label; empty if unknown
  std::shared_ptr<const caffe::PictureInput> picture_input = {};  // nullptr if unknown

  // Takes what these notes lack from `others`.
  void complete(const WeightNotes& others) {
    if (class_names.empty()) class_names = others.class_names;
    if (picture_input == nullptr) picture_input = others.picture_input;
  }
};

}  // namespace trainer
