// trainer convert imageset, folder and list.
#include <limits>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/convert_kind.h"
#include "report/log.h"

namespace trainer {
namespace {

int pixel_count(const Arguments& arguments, const char* flag) {
  const int64_t value = arguments.integer(flag);
  if (value < 0 || value > std::numeric_limits<int>::max())
    throw config_error("--{}: {} is not a number of pixels", flag, value);
  return static_cast<int>(value);
}

int64_t positive(const Arguments& arguments, const char* flag, int64_t least) {
  const int64_t value = arguments.integer(flag);
  if (value < least || value > std::numeric_limits<int>::max())
    throw config_error("--{}: {} is not a number from {}", flag, value, least);
  return value;
}

LabelKind label_kind(const std::string& text) {
  return text == "class"    ? caffe::ImageDataParameter::CLASS
         : text == "values" ? caffe::ImageDataParameter::VALUES
                            : caffe::ImageDataParameter::MASK;
}

// The part of a folder that a split names.
void set_split(const Arguments& arguments, ImagesToTarget& request) {
  if (arguments.given("validation_fraction") != arguments.given("split"))
    throw config_error(
        "--validation_fraction and --split belong together: --validation_fraction=0.1 --split=train makes a target of "
        "nine images in ten, --split=validation one of the others");
  if (!arguments.given("split")) return;
  request.validation_fraction = arguments.number("validation_fraction");
  request.validation = arguments.text("split") == "validation";
  if (!(request.validation_fraction > 0 && request.validation_fraction < 1))
    throw config_error("--validation_fraction={}: it must be above 0 and below 1", request.validation_fraction);
}

ImagesToTarget request_of(const Arguments& arguments) {
  ImagesToTarget request;
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 3) throw UsageError(fmt::format("convert {} takes two words: SOURCE TARGET", words[0]));
  if (words[1].empty() || words[2].empty())
    throw UsageError(fmt::format("convert {}: SOURCE and TARGET must not be empty", words[0]));
  request.source = words[1];
  request.target = words[2];
  request.labels = arguments.text("labels");
  request.gray = arguments.get_bool("gray");
  request.shuffle = arguments.get_bool("shuffle");
  request.check_size = arguments.get_bool("check_size");
  if (arguments.given("encoded")) request.encoded = arguments.get_bool("encoded");
  request.encode_type = arguments.text("encode_type");
  request.resize_height = pixel_count(arguments, "resize_height");
  request.resize_width = pixel_count(arguments, "resize_width");
  request.skip_bad_records = arguments.get_bool("skip_bad_records");
  request.shards = static_cast<int>(positive(arguments, "shards", 1));
  request.list = arguments.text("list");
  request.resume = arguments.get_bool("resume");
  request.overwrite = arguments.get_bool("overwrite");
  request.workers = static_cast<int>(positive(arguments, "workers", 0));
  return request;
}

int run_to_target(const ImagesToTarget& request) {
  ProgressLine line("the conversion is unfinished");
  const ImagesConverted converted = convert_images_to_target(
      request, [](const std::string& text) { log_info(text); }, [](const std::string& text) { log_warning(text); },
      reporter(line));
  fmt::print(
      "{} records written to {}{}\n", format_count(converted.records), request.target,
      converted.skipped == 0 ? "" : fmt::format("; {} images could not be read", format_count(converted.skipped)));
  return 0;
}

}  // namespace

int run_convert_imageset(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() != 4) throw UsageError("convert imageset takes three words: ROOTFOLDER/ LISTFILE DATABASE");
  ImagesToDatabase request;
  request.root = words[1];
  request.list = words[2];
  request.target = words[3];
  request.backend = arguments.text("backend");
  request.gray = arguments.get_bool("gray");
  request.shuffle = arguments.get_bool("shuffle");
  request.check_size = arguments.get_bool("check_size");
  request.encoded = arguments.get_bool("encoded");
  request.encode_type = arguments.text("encode_type");
  request.resize_height = pixel_count(arguments, "resize_height");
  request.resize_width = pixel_count(arguments, "resize_width");
  const SignalHandlers signals;
  const ImagesConverted converted = convert_images(
      request, [](const std::string& warning) { log_warning(warning); },
      [&](int64_t done, int64_t total) {
        signals.throw_if_stopped();
        if (done == 0)
          log_info(fmt::format("A total of {} images.", total));
        else if (done % 1000 == 0)
          log_info(fmt::format("Processed {} files.", done));
      });
  if (converted.records % 1000 != 0) log_info(fmt::format("Processed {} files.", converted.records));
  fmt::print(
      "{} records written to {}{}\n", format_count(converted.records), words[3],
      converted.skipped == 0 ? "" : fmt::format("; {} images could not be read", format_count(converted.skipped)));
  return 0;
}

int run_convert_folder(const Arguments& arguments) {
  ImagesToTarget request = request_of(arguments);
  request.folder = true;
  set_split(arguments, request);
  return run_to_target(request);
}

int run_convert_list(const Arguments& arguments) {
  ImagesToTarget request = request_of(arguments);
  request.root = arguments.text("root_folder");
  request.label_kind = label_kind(arguments.text("label_kind"));
  return run_to_target(request);
}

}  // namespace trainer
