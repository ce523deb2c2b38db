// Solver states: `.solverstate` (binary SolverState) and `.solverstate.h5`.
//
// Both formats are Caffe's. An exact resume needs more fields, numbered from 5000: in the binary message itself or, in
// HDF5, in the dataset "trainer_state", the bytes of a SolverState that has only those fields. Caffe reads both files
// and ignores the additions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/atomic_file.h"
#include "formats/blob_proto.h"
#include "trainer.pb.h"

namespace trainer {

struct SolverStateFile {
  // All fields except `history`.
  caffe::SolverState state;
  std::vector<WeightBlob> history;
};

// Reads either format; HDF5 is recognized by its signature. A state that Caffe wrote has no fields from 5000 on.
SolverStateFile read_solver_state(const std::string& path);
// The same without the history, which is most of the file.
caffe::SolverState read_solver_progress(const std::string& path);

// Streams the history from the caller's memory into `file`, which the caller commits; `state.history` must be empty.
// current_step is always written.
void write_solver_state(AtomicFile& file, const caffe::SolverState& state, const std::vector<BlobRef>& history);
void write_solver_state_hdf5(AtomicFile& place, const caffe::SolverState& state, const std::vector<BlobRef>& history);

// The exact size of the binary file.
int64_t binary_solver_state_size(const caffe::SolverState& state, const std::vector<BlobRef>& history);

}  // namespace trainer
