// The rule of Convolution and of its forms with one group a channel.
#pragma once

#include "layers/shared/convolution_window.h"

namespace trainer {

// Checks bottoms and channels against `window`, makes weights and bias, and sets a top for each bottom.
void lower_convolution(LayerContext& context, const ConvolutionWindow& window);

}  // namespace trainer
