// The marks of sequences that recurrent layers read. A model of ONNX does not have them: its input is one sequence of
// each item, which starts with states of zero.
#pragma once

#include <string>
#include <vector>

#include "export/exported_net.h"
#include "session/net_session.h"

namespace trainer {

bool is_recurrent(const caffe::LayerParameter& layer);

// The inputs that only recurrent layers read, as their marks.
std::vector<std::string> input_marks(const ExportedNet& net);

// Marks that the net computes: they do not depend on the values of inputs, and they are 0 in the first step and 1 in
// the others for inputs of these shapes.
std::vector<std::string> computed_marks(const ExportedNet& net, const GivenShapes& shapes);

// Whether each layer is needed for outputs of the net, if recurrent layers do not read `marks`.
std::vector<bool> layers_without_marks(const ExportedNet& net, const std::vector<std::string>& outputs,
                                       const std::vector<std::string>& marks);

}  // namespace trainer
