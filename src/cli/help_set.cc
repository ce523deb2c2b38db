// `trainer help set`: how the command line changes fields of a solver or net.
#include "cli/help_text.h"

namespace trainer {

std::string set_text(int width) {
  return wrap(
      "--set FIELD=VALUE sets a field of the solver or net for one run. It is typed and checked like the text of the "
      "file, and "
      "may be given several times; the values apply in that order.\n"
      "\n"
      "Which field:\n"
      "  base_lr=0.1                                    a field of the solver (train)\n"
      "  net.force_backward=true                        a field of the net itself\n"
      "  layer[conv1].convolution_param.num_output=32   a field of a layer, by the layer's name\n"
      "  layer[conv1].param[1].lr_mult=0                an element of a repeated field, by its index from 0\n"
      "\n"
      "layer[NAME] means all layers of that name in the nets of the command: train sets the TRAIN and the TEST layer, "
      "test and "
      "extract_features the TEST layer. Where these layers have different types, a field such as data_param is set in "
      "those "
      "whose type it belongs to. The layer that replaces `input:` fields of a net is called \"input\".\n"
      "\n"
      "Which value:\n"
      "  layer[ip2].name=ip2_mine                       text, with or without quotes\n"
      "  stepvalue=[100,200]                            a whole list\n"
      "  layer[input].type=HDF5Data                     the other fields stay as they are\n"
      "  layer[input].hdf5_data_param={ source: \"list.txt\" batch_size: 8 }\n"
      "                                                 a whole message, as the file writes it\n"
      "  layer[data].transform_param={}                 an empty message: clears all its fields\n",
      width, 0);
}

}  // namespace trainer
