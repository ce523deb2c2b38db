// Reports problems of a data layer, with its name and position.
#include "data/source_context.h"

#include "base/philox.h"
#include "data/layer_fields.h"
#include "layers/layer.h"

namespace trainer {

SourceContext::SourceContext(const caffe::LayerParameter& layer, const StreamOptions& options,
                             const Positions& positions, Diagnostics* diagnostics, bool shapes_given)
    : layer_(layer),
      options_(options),
      positions_(positions),
      diagnostics_(*diagnostics),
      shapes_given_(shapes_given) {}

uint64_t SourceContext::random_key(const std::string& purpose) const {
  return philox_key(options_.seed, options_.net_name, layer_.name(), purpose);
}

void SourceContext::report(const SourcePosition& position, ExitCode code, const std::string& message,
                           const std::string& remedy) {
  diagnostics_.error(position, subject_of(layer_), message, remedy, code);
  failed_ = true;
}

void SourceContext::error(const std::string& field, const std::string& message, const std::string& remedy) {
  report(positions_.of(layer_, field), ExitCode::kConfiguration, message, remedy);
}

void SourceContext::data_error(const std::string& field, const std::string& message, const std::string& remedy) {
  report(positions_.of(layer_, field), ExitCode::kData, message, remedy);
}

void SourceContext::warning(const std::string& field, const std::string& message, const std::string& remedy) {
  diagnostics_.warning(positions_.of(layer_, field), subject_of(layer_), message, remedy);
}

void SourceContext::error_in(const google::protobuf::Message& within, const std::string& field,
                             const std::string& message, const std::string& remedy) {
  report(positions_.of(within, field), ExitCode::kConfiguration, message, remedy);
}

void SourceContext::note(const std::string& line) const {
  if (options_.note) options_.note(fmt::format("{}: {}", subject_of(layer_), line));
}

void SourceContext::require(const std::string& field, const std::string& remedy) {
  const std::string blank = blank_text(layer_, field);
  if (shapes_given_ || blank.empty()) return;
  error(field, fmt::format("{} is {}", field.substr(field.find('.') + 1), blank), remedy);
}

void SourceContext::attempt(const std::string& field, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kConfiguration && error.code() != ExitCode::kData) throw;
    report(positions_.of(layer_, field), error.code(), error.what(), "");
  }
}

}  // namespace trainer
