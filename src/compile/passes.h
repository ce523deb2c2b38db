// The passes between a differentiated graph and a plan; compile() says in which order they run.
#pragma once

#include "compile/module.h"

namespace trainer {

// Moves factors that are the same for all summands out of sums.
Module factor_sums(const Module& module);

// Drops what nobody reads, joins equal pure ops, folds constants into maps, removes reshapes that change nothing.
Module simplify(const Module& module);

// For a module without a backward pass: moves factors and shifts of a convolution's channels into its weights and bias.
Module fold_scales(const Module& module);

// Where a backward map reads a forward map's value, computes it again in the backward pass if that needs no more
// memory than keeping it: activations that can be had from a convolution's output are not stored twice.
Module recompute_cheap_maps(const Module& module);

// Gives each map that reads a cheap value its own copy of the map that makes it, so that the value is not stored only
// to cross a reduction.
Module duplicate_cheap_maps(const Module& module);

// Joins maps over the same domain: producers with consumers, and siblings that read the same values. The reduced
// results of a map are never read within it.
Module fuse_maps(const Module& module);

// Moves a relu that is the only reader of a convolution's or matmul's result into it.
Module fuse_epilogues(const Module& module);

// Makes activations and their gradients `narrow`, a 16-bit type, where convolutions and large matrix products
// make or read them.
Module lower_precision(const Module& module, DType narrow);

// Gives every value its physical order and places the few reorders.
Module assign_orders(const Module& module);

}  // namespace trainer
