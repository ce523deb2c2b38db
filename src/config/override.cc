// Applies --set: one field of a solver or net from the command line.
#include "config/override.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "config/field_hints.h"
#include "config/net_state.h"
#include "config/prototxt.h"

namespace trainer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr const char* kFile = "--set";

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// Walks a path "a.b[2].c" from a message to the field to set.
class Assignment {
 public:
  Assignment(const std::string& text, Positions* positions, Diagnostics* diagnostics)
      : text_(text), positions_(positions), diagnostics_(diagnostics) {}

  void apply(Message* root, size_t begin) {
    const size_t equals = text_.find('=', begin);
    if (equals == std::string::npos) {
      error(begin, text_.size() - begin, "expected field=value", "for example --set base_lr=0.01");
      return;
    }
    Message* at = root;
    size_t from = begin;
    while (true) {
      size_t end = from;
      while (end < equals && (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_')) ++end;
      const std::string name = text_.substr(from, end - from);
      const FieldDescriptor* field = at->GetDescriptor()->FindFieldByName(name);
      if (field == nullptr) {
        error(from, std::max<size_t>(1, end - from), fmt::format("unknown field \"{}\"", name),
              unknown_field_hint(name, *at, is_layer(*at) ? at : nullptr));
        return;
      }
      std::string index;
      const size_t index_at = end + 1;
      if (end < equals && text_[end] == '[') {
        const size_t close = text_.find(']', end);
        if (close == std::string::npos || close > equals) {
          error(end, 1, "this \"[\" is not closed", "");
          return;
        }
        index = text_.substr(end + 1, close - end - 1);
        end = close + 1;
      }
      if (end == equals) {
        set(at, field, index, index_at, equals + 1);
        return;
      }
      if (text_[end] != '.') {
        error(end, 1, fmt::format("expected \".\" or \"=\", found \"{}\"", text_[end]), "");
        return;
      }
      at = descend(at, field, index, from, index_at);
      if (at == nullptr) return;
      from = end + 1;
    }
  }

  void error(size_t at, size_t length, const std::string& message, const std::string& hint) {
    diagnostics_->error(place(at, length), "", message, hint);
  }
  void warning(size_t at, size_t length, const std::string& message, const std::string& hint) {
    diagnostics_->warning(place(at, length), "", message, hint);
  }

 private:
  Message* descend(Message* message, const FieldDescriptor* field, const std::string& index, size_t from,
                   size_t index_at) {
    const auto* reflection = message->GetReflection();
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      error(from, field->name().size(), fmt::format("{} has no fields of its own", field->name()), "");
      return nullptr;
    }
    if (!field->is_repeated()) return reflection->MutableMessage(message, field);
    const int size = reflection->FieldSize(*message, field);
    int position = 0;
    // Adds missing elements, for example param[1] (the bias) of a layer without any param.
    if (!element(index, size, size + 1, field, index_at, &position)) return nullptr;
    while (reflection->FieldSize(*message, field) <= position) reflection->AddMessage(message, field);
    return reflection->MutableRepeatedMessage(message, field, position);
  }

  // Parses an index; `most` is the largest valid index, of a field with `size` elements.
  bool element(const std::string& index, int size, int most, const FieldDescriptor* field, size_t at, int* position) {
    const bool number =
        !index.empty() && index.size() < 6 && index.find_first_not_of("0123456789") == std::string::npos;
    if (!number) {
      error(at - 1, index.size() + 2,
            fmt::format("{} is repeated: give the element; {}[0] is the first", field->name(), field->name()), "");
      return false;
    }
    *position = std::stoi(index);
    if (*position <= most) return true;
    error(at, index.size(), fmt::format("{} has {} element{}", field->name(), size, size == 1 ? "" : "s"), "");
    return false;
  }

  void set(Message* message, const FieldDescriptor* field, const std::string& index, size_t index_at, size_t value_at) {
    const auto* reflection = message->GetReflection();
    std::string value = text_.substr(value_at);
    const bool bare_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
                           (value.empty() || (value[0] != '"' && value[0] != '\'' && value[0] != '['));
    if (bare_text) value = fmt::format("\"{}\"", escaped(value));
    const SourcePosition where = place(value_at, value.size());
    if (!index.empty()) {
      if (!field->is_repeated() || field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        error(index_at, index.size(), fmt::format("{} does not take an index here", field->name()), "");
        return;
      }
      int position = 0;
      const int size = reflection->FieldSize(*message, field);
      if (!element(index, size, size, field, index_at, &position)) return;
      if (!parse_field_value(value, where, message, field, diagnostics_)) return;
      if (position < size) {
        reflection->SwapElements(message, field, position, size);
        reflection->RemoveLast(message, field);
      }
      positions_->set(*message, field, position, where);
      return;
    }
    // Parses into another message first, so that a wrong value does not replace a good one.
    const std::unique_ptr<Message> parsed(message->New());
    if (!parse_field_value(value, where, parsed.get(), field, diagnostics_)) return;
    reflection->ClearField(message, field);
    reflection->SwapFields(message, parsed.get(), {field});
    if (!field->is_repeated()) {
      positions_->set(*message, field, -1, where);
    } else {
      for (int i = 0; i < reflection->FieldSize(*message, field); ++i) positions_->set(*message, field, i, where);
    }
  }

  static std::string escaped(const std::string& text) {
    std::string out;
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  }

  SourcePosition place(size_t at, size_t length) const {
    return {kFile, 0, static_cast<int>(at) + 1, text_, static_cast<int>(std::max<size_t>(1, length))};
  }

  const std::string& text_;
  Positions* positions_;
  Diagnostics* diagnostics_;
};

// Applies "layer[NAME].FIELD=VALUE" to the layers with that name in the nets of a command.
class LayerAssignment {
 public:
  LayerAssignment(const std::string& text, const std::vector<OverriddenNet>& nets, Diagnostics* diagnostics)
      : text_(text), nets_(nets), diagnostics_(diagnostics), mistakes_(text, nullptr, diagnostics) {}

  void apply() {
    const size_t close = text_.find(']');
    if (close == std::string::npos || close > text_.find('=')) {
      mistakes_.error(kName - 1, 1, "this \"[\" is not closed", "");
      return;
    }
    const std::string name = text_.substr(kName, close - kName);
    if (text_.compare(close + 1, 1, ".") != 0) {
      mistakes_.error(kName, std::max<size_t>(1, name.size()), "a field of the layer is missing",
                      fmt::format("write layer[{}].FIELD=VALUE", name));
      return;
    }
    find(name);
    if (layers_.empty()) {
      unknown(name);
      return;
    }
    const std::string field = text_.substr(close + 2, text_.find_first_of(".=[", close + 2) - close - 2);
    bool included_any = false;
    for (const Layer& layer : layers_with(field)) {
      Assignment(text_, layer.net->positions, diagnostics_).apply(layer.param, close + 2);
      included_any = included_any || layer_is_included(*layer.param, layer.net->state, nullptr);
    }
    if (!included_any)
      mistakes_.warning(
          kName, std::max<size_t>(1, name.size()),
          fmt::format("this has no effect: no layer \"{}\" that uses {} is in {}", name, field, nets_text()), "");
  }

 private:
  static constexpr size_t kName = 6;  // after "layer["
  static constexpr size_t kMostListed = 40;
  struct Layer {
    caffe::LayerParameter* param;
    const OverriddenNet* net;
  };

  void find(const std::string& name) {
    for (const OverriddenNet& net : nets_) {
      for (caffe::LayerParameter& layer : *net.net->mutable_layer()) {
        if (layer.name() == name) layers_.push_back({&layer, &net});
      }
    }
  }

  // The layers to change: those that the states include, or all if none is included, because an assignment may change a
  // rule. If the layers have several types and the field is the own message of one type, only layers of that type.
  std::vector<Layer> layers_with(const std::string& field) const {
    const FieldDescriptor* first = caffe::LayerParameter::descriptor()->FindFieldByName(field);
    std::vector<Layer> own, included;
    for (const Layer& layer : layers_) {
      if (first != nullptr && is_message_of_type(*first, layer.param->type())) own.push_back(layer);
    }
    const std::vector<Layer>& fitting = own.empty() ? layers_ : own;
    for (const Layer& layer : fitting) {
      if (layer_is_included(*layer.param, layer.net->state, nullptr)) included.push_back(layer);
    }
    return included.empty() ? fitting : included;
  }

  std::string nets_text() const {
    std::vector<std::string> phases;
    for (const OverriddenNet& net : nets_) {
      const std::string phase = caffe::Phase_Name(net.state.phase());
      if (std::find(phases.begin(), phases.end(), phase) == phases.end()) phases.push_back(phase);
    }
    return fmt::format("the {} net{}", fmt::join(phases, " or "), phases.size() == 1 ? "" : "s");
  }

  void unknown(const std::string& name) {
    std::vector<std::string> names;
    for (const OverriddenNet& net : nets_) {
      for (const caffe::LayerParameter& layer : net.net->layer()) {
        if (std::find(names.begin(), names.end(), layer.name()) == names.end()) names.push_back(layer.name());
      }
    }
    const size_t listed = std::min(names.size(), kMostListed);
    mistakes_.error(kName, std::max<size_t>(1, name.size()), fmt::format("the net has no layer \"{}\"", name),
                    fmt::format("{}its layers: {}{}", suggest(name, names, "did you mean \"{}\"? "),
                                fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
                                listed < names.size() ? fmt::format(" and {} more", names.size() - listed) : ""));
  }

  const std::string& text_;
  const std::vector<OverriddenNet>& nets_;
  Diagnostics* diagnostics_;
  Assignment mistakes_;
  std::vector<Layer> layers_;
};

constexpr const char* kLayer = "layer[";
constexpr const char* kNet = "net.";

}  // namespace

bool is_net_override(const std::string& assignment) {
  return starts_with(assignment, kLayer) || starts_with(assignment, kNet);
}

void apply_solver_override(const std::string& assignment, caffe::SolverParameter* solver, Positions* positions,
                           Diagnostics* diagnostics) {
  if (!is_net_override(assignment)) Assignment(assignment, positions, diagnostics).apply(solver, 0);
}

void apply_net_override(const std::string& assignment, caffe::NetParameter* net, Positions* positions,
                        Diagnostics* diagnostics) {
  if (starts_with(assignment, kNet)) Assignment(assignment, positions, diagnostics).apply(net, std::strlen(kNet));
}

void apply_layer_override(const std::string& assignment, const std::vector<OverriddenNet>& nets,
                          Diagnostics* diagnostics) {
  if (starts_with(assignment, kLayer)) LayerAssignment(assignment, nets, diagnostics).apply();
}

}  // namespace trainer
