// The layer of a data source, with the options of its stream. It reports the problems of the layer and of its data set.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "config/diagnostics.h"
#include "config/positions.h"
#include "data/batch_stream.h"

namespace trainer {

class SourceContext {
 public:
  // `shapes_given`: the data set is not opened, and fields that are only needed to open it may be missing.
  SourceContext(const caffe::LayerParameter& layer, const StreamOptions& options, const Positions& positions,
                Diagnostics* diagnostics, bool shapes_given);

  const caffe::LayerParameter& layer() const { return layer_; }
  const StreamOptions& options() const { return options_; }
  // The key of the layer's random draws for a purpose ("shuffle").
  uint64_t random_key(const std::string& purpose) const;

  // Each reports a problem at a field, given by its path within the layer ("data_param.source").
  void error(const std::string& field, const std::string& message, const std::string& remedy = "");
  void data_error(const std::string& field, const std::string& message, const std::string& remedy = "");
  void warning(const std::string& field, const std::string& message, const std::string& remedy = "");
  // An error at a field of a message within the layer, or at the message itself.
  void error_in(const google::protobuf::Message& within, const std::string& field, const std::string& message,
                const std::string& remedy);

  // Logs a line about the data set, after the layer's name.
  void note(const std::string& line) const;

  // Reports an error if a field needed to open the data set is missing, empty or 0.
  void require(const std::string& field, const std::string& remedy);
  // Runs `action`. Reports an Error about the net or its data that it throws at the field.
  void attempt(const std::string& field, const std::function<void()>& action);
  // True if an error was reported.
  bool failed() const { return failed_; }

 private:
  void report(const SourcePosition& position, ExitCode code, const std::string& message, const std::string& remedy);

  const caffe::LayerParameter& layer_;
  const StreamOptions& options_;
  const Positions& positions_;
  Diagnostics& diagnostics_;
  const bool shapes_given_;
  bool failed_ = false;
};

}  // namespace trainer
