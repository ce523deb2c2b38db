// The learned blobs of a net as states of the store: how they start, and how they go to and come from weight files.
#pragma once

#include <string>
#include <vector>

#include "formats/weights.h"
#include "lowering/lower_net.h"
#include "runtime/memory.h"

namespace trainer {

// The parameters that gradients are made for.
std::vector<const ParameterInfo*> trained_parameters(const LoweredNet& net);

// Adds the states of the net's parameters that the store lacks, filled by their fillers or by the `blobs` written in
// the net itself. Trained parameters of a net that will be trained come first, in one group "parameters", with a
// group "gradients" beside it. A parameter that is there (a test net shares by layer name) must have the same shape.
void add_parameters(const LoweredNet& net, uint64_t seed, bool trained, StateStore& store);

// The same without the values: what is enough to compile a net. Returns the parameters that were added.
std::vector<const ParameterInfo*> declare_parameters(const LoweredNet& net, bool trained, StateStore& store);

// What became of each blob of a net and each layer of a weight file.
struct WeightMatch {
  enum Kind { kLoaded, kFresh, kMismatched, kUnused } kind;
  std::string layer;
  std::string detail;  // shapes, or why
};

// Copies the file's blobs into the states of layers of the same name. A target that the file lacks keeps its values
// (kFresh), a source without a target is kUnused. Blobs of another number or shape are kMismatched: nothing of that
// layer is loaded. A file that is not as the manifest beside it says is a data_error.
std::vector<WeightMatch> load_weights(const std::string& path, const LoweredNet& net, StateStore& store);

// Throws for mismatched layers and where nothing was loaded: for a net to be trained, and for one to compute with,
// where fresh layers are refused too but with `allow_fresh`.
void require_match(const std::string& path, const std::vector<WeightMatch>& matches);
void require_trained(const std::string& path, const std::vector<WeightMatch>& matches, bool allow_fresh);

bool all_loaded(const std::vector<WeightMatch>& matches);

// "loaded 6 of 8 layers from F; fresh: fc8_new; unused: fc8" and, line by line, what needs attention.
std::string match_table(const std::string& path, const std::vector<WeightMatch>& matches);

// The model as Caffe writes it: every layer, Split layers included, each with its blobs; with `diff` (snapshot_diff)
// also the last step of each blob, zeros for one that is not trained.
void save_weights(AtomicFile& file, bool hdf5, bool diff, const LoweredNet& net, const StateStore& store);

}  // namespace trainer
