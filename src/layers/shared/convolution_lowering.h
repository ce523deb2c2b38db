// The rule that Convolution and the depthwise convolutions share.
#pragma once

#include "layers/shared/convolution_window.h"

namespace trainer {

// Checks bottoms and channels against `window`, adds weights and bias, and sets a top for each bottom.
void lower_convolution(LayerContext& context, const ConvolutionWindow& window);

}  // namespace trainer
