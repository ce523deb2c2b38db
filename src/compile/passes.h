// The passes between a differentiated graph and a plan; compile() defines their order.
#pragma once

#include "compile/module.h"

namespace trainer {

// Moves factors that are the same for all summands out of sums.
Module factor_sums(const Module& module);

// Removes dead ops, merges equal pure ops, folds constants into maps, and removes reshapes that change nothing.
Module simplify(const Module& module);

// For a module without a backward pass: moves per-channel factors and shifts of a convolution's result into its weights
// and bias.
Module fold_scales(const Module& module);

// Moves a relu into a convolution or matmul if it is the only reader of that op's result. A relu that only maps over
// its domain read stays: they compute it. This pass comes before recompute_cheap_maps, which would keep the op's result
// and recompute the relu for its gradient.
Module fuse_epilogues(const Module& module);

// If a backward map reads a value of a forward map, recomputes the value in the backward pass, provided that this needs
// no more memory than keeping it. So an activation that follows from a convolution's output is not stored as well.
Module recompute_cheap_maps(const Module& module);

// Gives each map that reads a cheap value its own copy of the producing map, so that the value is not stored only
// because a reduction separates its readers.
Module duplicate_cheap_maps(const Module& module);

// The limits of a fused map.
constexpr size_t kMaxMapOperands = 16;
constexpr size_t kMaxMapNodes = 96;

// Fuses maps over the same domain: producers with consumers, and siblings that read the same values. A map never reads
// its own reduced results.
Module fuse_maps(const Module& module);

// Recomputes a value in fused maps that read it, if they then read and write fewer tensors because they read its
// operands anyway. Ends with fuse_maps.
Module recompute_in_readers(const Module& module);

// Stores activations and their gradients in `narrow`, a 16-bit type, if convolutions or large matrix products
// produce or read them. `packs`: also converts the weights that these read (Device::reads_packed_weights).
Module lower_precision(const Module& module, DType narrow, bool packs = false);

// Pads the images and filters of large convolutions on fewer channels than `multiple` with zeros
// (Device::channel_multiple).
Module pad_channels(const Module& module, int64_t multiple);

// Assigns a physical order to every value and inserts the necessary reorders. `packs`: filters are channels-last
// (Device::reads_packed_weights).
Module assign_orders(const Module& module, bool packs = false);

// Brings the conversions of weights to the front of the pass, and those of their gradients together, so that they share
// launches: in groups of about `group_bytes`, each after the op that completes it.
Module gather_packs(const Module& module, int64_t group_bytes);

// Brings large maps of the same formula together if they do not depend on each other, so that they share launches.
Module gather_maps(const Module& module);

}  // namespace trainer
