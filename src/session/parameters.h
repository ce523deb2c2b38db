// The learned blobs of a net as states of the store: initial values, and reading and writing of weight files.
#pragma once

#include <string>
#include <vector>

#include "formats/weights.h"
#include "lowering/lower_net.h"
#include "runtime/memory.h"
#include "session/assign_tensors.h"

namespace trainer {

// The parameters that get a gradient.
std::vector<const ParameterInfo*> trained_parameters(const LoweredNet& net);

// Adds the states of the net's parameters that the store lacks, with the values of their fillers or of the `blobs` in
// the net itself. With `trained`, adds the trained parameters first, as a group with a group of gradients beside it
// (state_names.h). A parameter that the store has (a test net shares by layer name) must have the same shape.
void add_parameters(const LoweredNet& net, uint64_t seed, bool trained, StateStore& store);

// As add_parameters, without the values: enough to compile a net. Returns the added parameters.
std::vector<const ParameterInfo*> declare_parameters(const LoweredNet& net, bool trained, StateStore& store);

// The result of loading for one layer of the net or of the weight file.
struct WeightMatch {
  enum Kind { kLoaded, kFresh, kMismatched, kUnused } kind;
  std::string layer;
  std::string detail;  // shapes, or the reason
};

// Copies the blobs of the file into the states of layers of the same name, after its tensors are assigned to layers if
// it is of another program or `matching` is not by name. A layer that the file lacks keeps its values (kFresh); a layer
// that the net lacks is kUnused. If the number or shape of the blobs differs, no blob of the layer is loaded
// (kMismatched).
std::vector<WeightMatch> load_weights(const WeightFile& file, const LoweredNet& net, StateStore& store,
                                      const WeightMatching& matching = {});

// "Pictures are prepared differently: ..." if the net gives other values to pixels than the net of the weights did; ""
// if it does not, or if one of them is unknown.
std::string picture_difference(const WeightNotes& weights, const std::string& path, const WeightNotes& net);

// Throws if a layer is mismatched or nothing was loaded: require_match for a net to be trained, require_trained for a
// net to compute with, which also refuses fresh layers without `allow_fresh`.
void require_match(const std::string& path, const std::vector<WeightMatch>& matches);
void require_trained(const std::string& path, const std::vector<WeightMatch>& matches, bool allow_fresh);

bool all_loaded(const std::vector<WeightMatch>& matches);

// "Weights from F: 6 layers loaded, 1 fresh, 0 mismatched, 1 unused", then a line for each layer that is not loaded.
std::string match_table(const std::string& path, const std::vector<WeightMatch>& matches);

// Writes the model to a .caffemodel, or to a .caffemodel.h5 if the name ends with ".h5".
void save_weights(const std::string& path, const LoweredNet& net, const WeightNotes& notes, const StateStore& store);

// Writes the model as Caffe does: all layers, including Split layers, with their blobs. With `diff` (snapshot_diff)
// also writes the last step of each blob, zeros for a blob that is not trained.
void save_weights(AtomicFile& file, bool hdf5, bool diff, const LoweredNet& net, const WeightNotes& notes,
                  const StateStore& store);

}  // namespace trainer
