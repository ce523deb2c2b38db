// Fields of a layer by their paths within it, such as "data_param.batch_size".
#pragma once

#include <cstdint>
#include <string>

#include "trainer.pb.h"

namespace trainer {

bool has_field(const caffe::LayerParameter& layer, const std::string& path);
// "missing", "empty" or "0" for a field with nothing in it; "" if it has a value.
std::string blank_text(const caffe::LayerParameter& layer, const std::string& path);
std::string text_at(const caffe::LayerParameter& layer, const std::string& path);
uint32_t number_at(const caffe::LayerParameter& layer, const std::string& path);
void set_number_at(caffe::LayerParameter* layer, const std::string& path, uint32_t value);

}  // namespace trainer
