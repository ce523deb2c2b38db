// trainer convert: makes databases and HDF5 files for Data and HDF5Data layers from other files.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/convert_kind.h"

namespace trainer {
namespace {

const std::vector<ConvertKind>& kinds() {
  static const std::vector<ConvertKind> list = {
      {"folder",
       {"labels", "validation_fraction", "split", "gray", "shuffle", "check_size", "encoded", "encode_type",
        "resize_height", "resize_width", "skip_bad_records", "shards", "list", "resume", "overwrite", "workers"},
       run_convert_folder},
      {"list",
       {"labels", "root_folder", "label_kind", "gray", "shuffle", "check_size", "encoded", "encode_type",
        "resize_height", "resize_width", "skip_bad_records", "shards", "list", "resume", "overwrite", "workers"},
       run_convert_list},
      {"imageset",
       {"backend", "gray", "shuffle", "check_size", "encoded", "encode_type", "resize_height", "resize_width"},
       run_convert_imageset},
      {"idx", {"backend"}, run_convert_idx},
      {"mnist", {"backend"}, run_convert_idx},
      {"cifar", {"backend"}, run_convert_cifar},
      {"hdf5", {"columns", "row_shape", "list"}, run_convert_hdf5},
  };
  return list;
}

// Refuses flags of other kinds, which would have no effect.
void refuse_other_flags(const Arguments& arguments, const ConvertKind& kind) {
  for (const ConvertKind& other : kinds()) {
    for (const char* flag : other.flags) {
      const bool own = std::any_of(kind.flags.begin(), kind.flags.end(),
                                   [&](const char* known) { return std::strcmp(known, flag) == 0; });
      if (!own && arguments.given(flag))
        throw config_error("--{} has no effect with `trainer convert {}`", flag, kind.name);
    }
  }
}

int run_convert(const Arguments& arguments) {
  if (arguments.positional().empty()) throw UsageError("convert needs the kind of conversion");
  const std::string& wanted = arguments.positional()[0];
  std::vector<std::string> names;
  for (const ConvertKind& kind : kinds()) {
    if (wanted != kind.name) {
      names.push_back(kind.name);
      continue;
    }
    refuse_other_flags(arguments, kind);
    return kind.run(arguments);
  }
  throw UsageError(fmt::format("cannot convert \"{}\"; known: {}{}", wanted, fmt::join(names, ", "),
                               suggest(wanted, names, " (did you mean {}?)")));
}

REGISTER_COMMAND(
    convert, .name = "convert",
    .summary = "makes databases and HDF5 files from images, idx, CIFAR-10, .npy and CSV files",
    .usage =
        "convert folder SOURCE TARGET [flags]\nconvert list SOURCE TARGET [flags]\n"
        "convert imageset ROOTFOLDER/ LISTFILE DATABASE [flags]\nconvert idx IMAGES LABELS DATABASE\n"
        "convert cifar SOURCE_FOLDER TARGET_FOLDER [lmdb|leveldb]\n"
        "convert hdf5 NAME=FILE [NAME=FILE ...] TARGET.h5 [flags]",
    .description =
        "folder: the images of SOURCE, a folder with a folder of images for each class. A class's label is its number "
        "in the bytewise order of the names, or its line in --labels. A part of the images is chosen by "
        "--validation_fraction and --split.\n"
        "list: the images of SOURCE, a list of lines \"path label\", \"path numbers\" or \"path mask\" (--label_kind). "
        "--root_folder is put before each path.\n"
        "Both convert on all cores, and refuse images that cannot be read unless --skip_bad_records is set. "
        "TARGET is the folder of an LMDB database, for a Data layer with backend: LMDB. A database holds the image "
        "files as they are; images that are resized or turned gray become pixels. "
        "TARGET.h5 is an HDF5 file of pixels (0 to 255) for the tops data and label of an HDF5Data layer, and "
        "TARGET.h5.txt its source; all images must have one size. HDF5 also holds numbers and masks as labels. Both "
        "keep the names of the classes. The images of a folder are in the order of the classes: use --shuffle, or "
        "shuffle: true in the layer.\n"
        "An interrupted conversion leaves TARGET.part: the same command with --resume continues it.\n"
        "\n"
        "imageset: the images of a list with lines \"path label\" into a database of Datum records, as Caffe's "
        "convert_imageset. ROOTFOLDER/ is put before each path. Images that cannot be read are skipped with a "
        "warning.\n"
        "idx (or mnist): files of the MNIST family (plain or gzipped) into a database.\n"
        "cifar: the binary files of CIFAR-10 into cifar10_train_lmdb and cifar10_test_lmdb in TARGET_FOLDER.\n"
        "hdf5: each NAME=FILE, a .npy array or a table (.csv, .txt: commas; .tsv: tabs), becomes the dataset NAME, for "
        "the top NAME of an HDF5Data layer. All must have the same number of rows (first axis).\n"
        "imageset, idx, cifar and hdf5 replace no existing file, and leave no files if they fail.\n"
        "\n"
        "  trainer convert folder pictures/ train_lmdb --validation_fraction=0.1 --split=train --shuffle\n"
        "  trainer convert folder pictures/ test_lmdb --validation_fraction=0.1 --split=validation\n"
        "  trainer convert list masks.txt train.h5 --label_kind=mask --resize_height=256 --resize_width=256\n"
        "  trainer convert imageset pictures/ train.txt train_lmdb --resize_height=256 --resize_width=256\n"
        "  trainer convert idx train-images.gz train-labels.gz train_lmdb\n"
        "  trainer convert hdf5 data=x.npy label=y.npy train.h5\n"
        "  trainer convert hdf5 data=iris.csv label=iris.csv iris.h5 --columns data=0-3 --columns label=class",
    .flags =
        {
            {"labels", FlagType::kFile, "", "FILE",
             "folder, list: a text file with the name of a class in each line, in the order of the labels."},
            {"validation_fraction", FlagType::kNumber, "", "F",
             "folder: the part of the images that is for validation, as in image_data_param. Needs --split."},
            {"split", FlagType::kChoice, "", "train|validation",
             "folder: the part that --validation_fraction leaves, or "
             "the part for validation."},
            {"root_folder", FlagType::kText, "", "FOLDER/", "list: a prefix of each path."},
            {"label_kind", FlagType::kChoice, "class", "class|values|mask",
             "list: what follows a path: the number of a class, several numbers, or the path of a mask."},
            {"backend", FlagType::kChoice, "lmdb", "lmdb|leveldb",
             "imageset, idx, cifar: the kind of database to make."},
            {"gray", FlagType::kBool, "false", "", "Images: read them as gray, 1 channel."},
            {"shuffle", FlagType::kBool, "false", "", "Images: take them in a random order, the same in each run."},
            {"resize_height", FlagType::kInteger, "0", "PIXELS",
             "Images: the height to resize them to, together with resize_width. 0: keep the size."},
            {"resize_width", FlagType::kInteger, "0", "PIXELS", "Images: the width to resize them to."},
            {"check_size", FlagType::kBool, "false", "",
             "Images: end with an error if the size of an image differs from that of the first."},
            {"encoded", FlagType::kBool, "false", "",
             "Images in a database: store image files instead of pixels. imageset: in their own format. folder, list: "
             "the default unless images are resized or gray; --noencoded stores pixels; files that a Data layer would "
             "read differently (gray, transparent, turned by EXIF) become PNG."},
            {"encode_type", FlagType::kText, "", "jpg|png", "Images in a database: store image files in this format."},
            {"skip_bad_records", FlagType::kBool, "false", "",
             "folder, list: skip images that cannot be read, with a warning."},
            {"shards", FlagType::kInteger, "1", "N",
             "folder, list: make N HDF5 files TARGET-00000-of-0000N.h5, which TARGET.h5.txt lists for one HDF5Data "
             "layer."},
            {"resume", FlagType::kBool, "false", "",
             "folder, list: continue an interrupted conversion with the same images and flags, if there is one."},
            {"overwrite", FlagType::kBool, "false", "",
             "folder, list: replace existing files at the end, and begin an interrupted conversion again."},
            {"workers", FlagType::kInteger, "0", "N",
             "folder, list: threads that convert. 0: one for each core. It does not change the result."},
            {"columns", FlagType::kText, "", "NAME=COLUMNS",
             "The columns of a table for the dataset: names from its header, numbers from 0, ranges (1-784), "
             "separated by commas.",
             true},
            {"row_shape", FlagType::kText, "", "NAME=EXTENTS",
             "The shape of a row, if it differs from that in the file: data=1,28,28.", true},
            {"list", FlagType::kFile, "", "FILE",
             "The text file to make that names TARGET.h5, for the source of hdf5_data_param. Default: TARGET.h5.txt."},
        },
    .run = run_convert);

}  // namespace
}  // namespace trainer
