// Solver states: `.solverstate` (binary SolverState) and `.solverstate.h5`.
//
// Both are Caffe's; what an exact resume needs beyond them are the fields from 5000 on, in the binary message
// itself or, in HDF5, in the dataset "trainer_state": the bytes of a SolverState that holds only those
// fields. Caffe reads either file and passes over the additions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/atomic_file.h"
#include "formats/blob_proto.h"
#include "trainer.pb.h"

namespace trainer {

struct SolverStateFile {
  // Everything but `history`.
  caffe::SolverState state;
  std::vector<WeightBlob> history;
};

// Reads either format, told apart by HDF5's signature. A state of Caffe's own has no fields from 5000 on.
SolverStateFile read_solver_state(const std::string& path);

// `state.history` must be empty: the history is streamed from the caller's memory, into a file that the caller commits.
// current_step is always written.
void write_solver_state(AtomicFile& file, const caffe::SolverState& state, const std::vector<BlobRef>& history);
void write_solver_state_hdf5(AtomicFile& place, const caffe::SolverState& state, const std::vector<BlobRef>& history);

// The exact size of the binary file.
int64_t binary_solver_state_size(const caffe::SolverState& state, const std::vector<BlobRef>& history);

}  // namespace trainer
