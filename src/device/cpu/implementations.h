// The CPU's implementations of the ops: one ordered list per kind, fastest first, reference last.
//
// TRAINER_IMPL=reference makes every op run its reference. oneDNN's are present if the build found oneDNN.
#pragma once

#include <vector>

#include "runtime/implementation.h"

namespace trainer::cpu {

using Implementation = trainer::Implementation<>;

const std::vector<Implementation>& implementations_of(OpKind kind);

}  // namespace trainer::cpu
