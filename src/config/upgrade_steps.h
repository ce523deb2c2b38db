// Steps of upgrade_net that have their own files. Each leaves a net without its legacy form unchanged.
#pragma once

#include "config/upgrade.h"

namespace trainer {

// V0 to V1: `layers { layer { type: "conv" ... } }` becomes `layers { type: CONVOLUTION ... }`. Returns false after an
// error.
bool upgrade_v0_layers(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved);

// V1 to current: `layers` becomes `layer`. Before that, scale, mean_file, crop_size and mirror move from the data
// layers' own messages to transform_param.
void upgrade_v1_layers(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved);

}  // namespace trainer
