// The log: glog lines in the format that scripts for Caffe's log parse.
//
// Prefix "I1121 08:40:01.123456 25210 file.cc:12] " (no year); numbers as an ostream prints them, with six significant
// digits. The *_line functions return the text; log_info writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trainer {

// Call once, before the first line. Lines go to the standard error and, with --log_dir, also to files in that folder.
void set_up_logging(const char* program);
// Call after the flags are parsed: --log_dir without --logtostderr selects both files and standard error.
void apply_log_flags();
// True if the user asked for log lines on the standard error, by flag or environment.
bool log_lines_requested();

void log_info(std::string_view text, const char* file = __builtin_FILE(), int line = __builtin_LINE());
void log_warning(std::string_view text, const char* file = __builtin_FILE(), int line = __builtin_LINE());

// "0.01", "1e-05", "2.30259", "nan".
std::string log_number(double value);

std::string solving_line(std::string_view net);
std::string iteration_line(int64_t iteration, double iterations_per_second, double seconds, int64_t display,
                           double loss);
std::string final_loss_line(int64_t iteration, double loss);
std::string learning_rate_line(int64_t iteration, double rate);
// `weight` 0: the value is not a loss.
std::string train_output_line(int index, std::string_view name, double value, double weight);
std::string testing_line(int64_t iteration, int net);
std::string test_output_line(int index, std::string_view name, double value, double weight);
std::string test_loss_line(double loss);
std::string snapshot_weights_line(std::string_view path, bool hdf5);
std::string snapshot_state_line(std::string_view path, bool hdf5);

}  // namespace trainer
