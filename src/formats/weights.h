// Weight files: `.caffemodel` (binary NetParameter, also the V1 and V0 generations) and `.caffemodel.h5`; and those of
// other programs (formats/tensors), whose tensors belong to layers only together with a net.
//
// The reader uses only names, types, blobs and notes and skips all other fields of any type, because forks of
// Caffe reuse field numbers. Files beyond 2 GiB are supported. Values are floats, doubles or, as NVIDIA's fork and
// OpenCV write them, raw bytes of floats, doubles or float16. The writer streams from the caller's memory into an
// AtomicFile, which the caller commits. Errors are data_error with file, byte offset and layer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "formats/atomic_file.h"
#include "formats/blob_proto.h"
#include "formats/tensors/tensor_file.h"
#include "formats/weight_notes.h"

namespace caffe {
class LayerParameter;
}

namespace trainer {

class Hdf5File;

// The datasets of an HDF5 weight file, and the entries of the metadata of a safetensors file, that have the notes: a
// class name in each line, and a PictureInput as prototxt.
constexpr const char *kClassNames = "class_names", *kPictureInput = "picture_input";

struct WeightLayer {
  std::string name;
  // As in the file: "Convolution"; V1 files have an enum, which is converted to the same name; "" in HDF5 files, which
  // have no types.
  std::string type;
  std::vector<WeightBlob> blobs;
};

struct WeightFile {
  std::string path;
  std::string net_name;       // "" in HDF5 files
  bool omits_shared = false;  // it lacks blobs that another layer owns, as HDF5 files do
  WeightNotes notes;
  std::vector<WeightLayer> layers;  // in file order; HDF5: by name
  // Of a file of another program, which has no layers.
  std::shared_ptr<const TensorFile> tensors;
};

// Reads a file of any format, which is recognized by its content.
WeightFile read_weights(const std::string& path);

// Reads a dataset of an HDF5 snapshot. Throws a data_error before reading if it has more elements than a blob may have.
WeightBlob read_hdf5_blob(const Hdf5File& file, const std::string& dataset);

// One layer to write. `param` is the effective LayerParameter, whose `blobs` are ignored; with null only the name is
// written (enough for HDF5).
struct WeightLayerRef {
  std::string name;
  const caffe::LayerParameter* param = nullptr;
  std::vector<BlobRef> blobs;
};

// The largest binary message that protobuf reads: 2^31 - 1 bytes.
constexpr int64_t kLargestBinaryMessage = 2147483647;

// The exact size of the binary weight file.
int64_t binary_weights_size(const std::string& net_name, const WeightNotes& notes,
                            const std::vector<WeightLayerRef>& layers);
// Throws a data_error with the remedy (snapshot_format: HDF5) if `bytes` exceeds kLargestBinaryMessage; `what` names
// the file in the message.
void check_binary_size(int64_t bytes, const std::string& what);

void write_weights(AtomicFile& file, const std::string& net_name, const WeightNotes& notes,
                   const std::vector<WeightLayerRef>& layers);

// A layer of an HDF5 file and its number of blobs.
struct Hdf5LayerName {
  std::string name;
  size_t blobs = 0;
};
// Throws a data_error with the remedy if HDF5 cannot hold these layers side by side: a name that is not a valid path of
// groups ("", ".", "a//b", a leading or trailing "/"), two layers with blobs and the same name, a layer "a/0" beside a
// blob 0 of layer "a". `what` names the file in the message.
void check_hdf5_names(const std::string& what, const std::vector<Hdf5LayerName>& layers);

// Writes groups /data/<layer>/<i>, and /diff/<layer>/<i> if there are diffs. A "/" in a layer's name nests groups;
// names that check_hdf5_names rejects are rejected here too. Notes are strings in /class_names and /picture_input.
void write_weights_hdf5(AtomicFile& target, const WeightNotes& notes, const std::vector<WeightLayerRef>& layers);

}  // namespace trainer
