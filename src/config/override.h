// --set: one field of a solver or net from the command line, with the same type checks as the text of a file.
//
//   base_lr=0.1                                            a field of the solver
//   stepvalue=[100,200]                                    a list replaces the whole list
//   layer[conv1].convolution_param.num_output=32           a field of a layer, by its name; of all that have the name
//   layer[conv1].param[1].lr_mult=0                        an element, by its index from 0
//   net.force_backward=true                                a field of the net itself
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "trainer.pb.h"

namespace trainer {

// True if the assignment is for nets: it starts with "layer[" or "net.".
bool is_net_override(const std::string& assignment);

// Apply an assignment to the solver, to the net itself ("net.") or to layers; each function ignores the other kinds.
// Mistakes go to `diagnostics`, with the assignment as the source line.

void apply_solver_override(const std::string& assignment, caffe::SolverParameter* solver, Positions* positions,
                           Diagnostics* diagnostics);
void apply_net_override(const std::string& assignment, caffe::NetParameter* net, Positions* positions,
                        Diagnostics* diagnostics);

// A net of the command, and the state by which its layers will be filtered.
struct OverriddenNet {
  caffe::NetParameter* net;
  Positions* positions;
  caffe::NetState state;
};
// Sets the field in all layers of that name that the states include. If these have several types and the field is the
// message of one of them (data_param of a Data layer beside an ImageData layer), only layers of that type change. It is
// an error if no net has the layer, and a warning if no state includes it.
void apply_layer_override(const std::string& assignment, const std::vector<OverriddenNet>& nets,
                          Diagnostics* diagnostics);

}  // namespace trainer
