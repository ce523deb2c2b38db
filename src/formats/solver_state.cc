// Reads and writes solver states in both formats.
#include "formats/solver_state.h"

#include <google/protobuf/stubs/logging.h>

#include "base/error.h"
#include "formats/hdf5_file.h"
#include "formats/input_file.h"
#include "formats/weights.h"
#include "formats/wire_reader.h"
#include "formats/wire_writer.h"

namespace trainer {
namespace {

constexpr uint32_t kIter = 1, kHistory = 3;
constexpr size_t kMostHistory = 1'000'000;
constexpr const char* kOwnFields = "trainer_state";

// Copies the value after the reader's last tag, with the tag, to `out`. Groups are skipped: SolverState has none.
void copy_field(WireReader& reader, std::string& out) {
  const uint32_t field = reader.field();
  switch (reader.type()) {
    case WireType::kVarint: append_varint_field(out, field, reader.varint()); return;
    case WireType::kBytes: {
      const int64_t count = reader.length();
      append_length_prefix(out, field, count);
      const size_t old = out.size();
      out.resize(old + static_cast<size_t>(count));
      reader.bytes(out.data() + old, count);
      return;
    }
    case WireType::kFixed32: {
      append_varint(out, uint64_t{field} << 3 | 5);
      const uint32_t bits = reader.fixed32();
      out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
      return;
    }
    case WireType::kFixed64: {
      append_varint(out, uint64_t{field} << 3 | 1);
      const uint64_t bits = reader.fixed64();
      out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
      return;
    }
    default: reader.skip();
  }
}

void parse_state(const std::string& path, const std::string& bytes, caffe::SolverState& state) {
  const google::protobuf::LogSilencer silent;
  if (bytes.size() > static_cast<size_t>(kLargestBinaryMessage) || !state.ParseFromString(bytes)) {
    throw data_error("{} is not a readable solver state: its fields cannot be parsed", path);
  }
}

SolverStateFile read_binary(const std::string& path, bool with_history) {
  const InputFile file(path, "solver state");
  if (file.size() == 0) throw data_error("{} is empty: not a solver state", path);
  if (file.looks_like_text())
    throw data_error("{} is text; a solver state is a .solverstate or .solverstate.h5 file", path);
  WireReader reader(file.descriptor(), file.size());
  SolverStateFile out;
  std::string rest;
  bool has_iter = false;
  int64_t promised_end = 0;
  try {
    while (reader.next()) {
      if (reader.is(kIter, WireType::kBytes)) {
        throw data_error("{} is not a solver state; it looks like a weight file (pass it with --weights)", path);
      }
      if (reader.is(kHistory, WireType::kBytes) && !with_history) {
        reader.skip();
      } else if (reader.is(kHistory, WireType::kBytes)) {
        if (out.history.size() == kMostHistory) throw WireError(reader.position(), "more than a million history blobs");
        const int64_t outer = reader.enter_truncated(promised_end);
        if (promised_end > file.size()) throw WireError(reader.position(), "the message ends too early");
        out.history.push_back(read_blob_proto(reader));
        reader.leave(outer);
      } else {
        has_iter = has_iter || reader.is(kIter, WireType::kVarint);
        copy_field(reader, rest);
      }
    }
  } catch (const WireError& error) {
    throw data_error(
        "{} is not a readable solver state: {} at byte {}, after {} history blobs; the file is {} bytes long{}", path,
        error.what(), error.offset(), out.history.size(), file.size(),
        promised_end > file.size() ? fmt::format(" where history blob {} should reach byte {}. Copy it again",
                                                 out.history.size(), promised_end)
                                   : "");
  }
  if (!has_iter) throw data_error("{} is not a solver state: the iteration is missing", path);
  parse_state(path, rest, out.state);
  return out;
}

SolverStateFile read_hdf5(const std::string& path, bool with_history) {
  const Hdf5File file = Hdf5File::open(path);
  if (!file.has_dataset("iter") || !file.has_group("history")) {
    throw data_error("{} is an HDF5 file but not a solver state: {} is missing{}", path,
                     file.has_dataset("iter") ? "group \"history\"" : "dataset \"iter\"",
                     file.has_group("data") ? "; it looks like a weight file (pass it with --weights)" : "");
  }
  SolverStateFile out;
  if (file.has_dataset(kOwnFields)) {
    const std::vector<uint8_t> bytes = file.read_bytes(kOwnFields);
    parse_state(path, std::string(bytes.begin(), bytes.end()), out.state);
    out.state.clear_history();
  }
  const auto single = [&](const char* name) {
    const std::vector<int32_t> values = file.read_ints(name);
    if (values.size() != 1)
      throw data_error("{}: dataset \"{}\" has {} values instead of 1", path, name, values.size());
    return values[0];
  };
  out.state.set_iter(single("iter"));
  if (file.has_dataset("current_step")) out.state.set_current_step(single("current_step"));
  if (file.has_dataset("learned_net")) out.state.set_learned_net(file.read_string("learned_net"));
  const size_t count = with_history ? file.children("history").size() : 0;
  for (size_t i = 0; i < count; ++i) out.history.push_back(read_hdf5_blob(file, fmt::format("history/{}", i)));
  return out;
}

// The message without its history, with current_step set.
std::string serialized_head(const caffe::SolverState& state) {
  TRAINER_ASSERT(state.history_size() == 0);
  caffe::SolverState head = state;
  head.set_current_step(state.current_step());
  TRAINER_ASSERT(head.ByteSizeLong() <= static_cast<size_t>(kLargestBinaryMessage));
  return head.SerializeAsString();
}

SolverStateFile read_state(const std::string& path, bool with_history) {
  SolverStateFile file =
      Hdf5File::has_signature(path) ? read_hdf5(path, with_history) : read_binary(path, with_history);
  if (file.state.iter() < 0 || file.state.current_step() < 0)
    throw data_error("{}: iteration {} with current_step {} is impossible: the file is damaged. Copy it again", path,
                     file.state.iter(), file.state.current_step());
  return file;
}

int64_t total_size(size_t head_bytes, const std::vector<BlobRef>& history) {
  auto size = static_cast<int64_t>(head_bytes);
  for (const BlobRef& blob : history) size += bytes_field_size(kHistory, blob_proto_size(blob));
  return size;
}

}  // namespace

SolverStateFile read_solver_state(const std::string& path) { return read_state(path, true); }
caffe::SolverState read_solver_progress(const std::string& path) { return read_state(path, false).state; }

int64_t binary_solver_state_size(const caffe::SolverState& state, const std::vector<BlobRef>& history) {
  return total_size(serialized_head(state).size(), history);
}

void write_solver_state(AtomicFile& file, const caffe::SolverState& state, const std::vector<BlobRef>& history) {
  std::string head = serialized_head(state);
  const int64_t size = total_size(head.size(), history);
  check_binary_size(size, file.path());
  file.expect(size);
  file.write(head.data(), head.size());
  for (const BlobRef& blob : history) {
    head.clear();
    append_length_prefix(head, kHistory, blob_proto_size(blob));
    file.write(head.data(), head.size());
    write_blob_proto(blob, [&file](const void* bytes, size_t count) { file.write(bytes, count); });
  }
}

void write_solver_state_hdf5(AtomicFile& place, const caffe::SolverState& state, const std::vector<BlobRef>& history) {
  TRAINER_ASSERT(state.history_size() == 0);
  caffe::SolverState own = state;
  own.clear_iter();
  own.clear_learned_net();
  own.clear_current_step();
  const std::string own_bytes = own.SerializeAsString();
  int64_t expected = 8192 + static_cast<int64_t>(own_bytes.size() + state.learned_net().size());
  for (const BlobRef& blob : history) expected += 512 + blob.shape.count() * 4;

  place.expect(expected);
  Hdf5File file = Hdf5File::create(place.temporary_path(), place.path());
  const int32_t iter = state.iter(), current_step = state.current_step();
  file.write_ints("iter", {1}, &iter);
  file.write_string("learned_net", state.learned_net());
  file.write_ints("current_step", {1}, &current_step);
  file.make_group("history");
  for (size_t i = 0; i < history.size(); ++i) {
    file.write_floats(fmt::format("history/{}", i), history[i].shape, history[i].data);
  }
  if (!own_bytes.empty()) {
    file.write_bytes(kOwnFields, {static_cast<int64_t>(own_bytes.size())},
                     reinterpret_cast<const uint8_t*>(own_bytes.data()));
  }
  file.close();
}

}  // namespace trainer
