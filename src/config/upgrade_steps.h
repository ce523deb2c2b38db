// The steps of upgrade_net that have files of their own. Each leaves a net without its legacy form alone.
#pragma once

#include "config/upgrade.h"

namespace trainer {

// V0 to V1: `layers { layer { type: "conv" ... } }` becomes `layers { type: CONVOLUTION ... }`. False after
// an error.
bool upgrade_v0_layers(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved);

// V1 to current: `layers` becomes `layer`, after scale, mean_file, crop_size and mirror have moved from the
// data layers' own messages to transform_param.
void upgrade_v1_layers(caffe::NetParameter* net, const NoteObserver& noted, const MoveObserver& moved);

}  // namespace trainer
