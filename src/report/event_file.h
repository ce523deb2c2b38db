// TensorBoard's event files: TFRecords of tensorflow.Event messages, scalars only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trainer {

// One record: length, masked CRC of the length, the bytes, masked CRC of the bytes; little-endian.
std::string tfrecord(const std::string& bytes);

// The first event of each file.
std::string version_event(double wall_time);
std::string scalar_event(double wall_time, int64_t step, const std::string& tag, float value);

// The complete records of a file's content, without scalars of this step and later ones.
std::string records_before(std::string_view content, int64_t step);

constexpr const char* kEventFilePrefix = "events.out.tfevents.";
// "events.out.tfevents.1700000000.host": TensorBoard searches for names of this form.
std::string event_file_name(double wall_time);

}  // namespace trainer
