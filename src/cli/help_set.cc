// The help page of --set, which changes fields of a solver or net for one run.
#include "cli/help_text.h"
#include "cli/markdown.h"

namespace trainer {

std::string set_page() {
  return "# --set\n\n" +
         markdown_paragraphs(
             "--set FIELD=VALUE sets a field of the solver or net for one run. It has the syntax and checks of the "
             "file. The "
             "flag may be given several times; the values apply in order.\n"
             "\n"
             "Fields:\n"
             "  base_lr=0.1                                    a field of the solver (train)\n"
             "  net.force_backward=true                        a field of the net itself\n"
             "  layer[conv1].convolution_param.num_output=32   a field of a layer, by the layer's name\n"
             "  layer[conv1].param[1].lr_mult=0                an element of a repeated field, by its index from 0\n"
             "\n"
             "layer[NAME] means all layers of that name in the nets of the command: train sets the TRAIN and the TEST "
             "layer, "
             "test and extract_features the TEST layer. If these layers have different types, a field such as "
             "data_param is "
             "set in the layers of its type. The layer that replaces `input:` fields of a net has the name \"input\".\n"
             "\n"
             "Values:\n"
             "  layer[ip2].name=ip2_mine                       text, with or without quotes\n"
             "  stepvalue=[100,200]                            a whole list\n"
             "  layer[input].type=HDF5Data                     the other fields keep their values\n"
             "  layer[input].hdf5_data_param={ source: \"list.txt\" batch_size: 8 }\n"
             "                                                 a whole message, with the syntax of the file\n"
             "  layer[data].transform_param={}                 an empty message: clears all its fields") +
         "\n";
}

}  // namespace trainer
