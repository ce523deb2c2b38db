// Weight files: `.caffemodel` (binary NetParameter, also the V1 and V0 generations) and `.caffemodel.h5`.
//
// Reading takes only names, types and blobs and skips everything else whatever its type, because forks of
// Caffe reuse field numbers; files beyond 2 GiB are fine. Values may be floats, doubles or, as NVIDIA's fork and OpenCV
// write them, raw bytes of either or of float16. Writing streams from the caller's memory, into an AtomicFile that the
// caller commits. Errors are data_error and name file, byte offset and layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/atomic_file.h"
#include "formats/blob_proto.h"

namespace caffe {
class LayerParameter;
}

namespace trainer {

class Hdf5File;

struct WeightLayer {
  std::string name;
  // As in the file: "Convolution"; for V1 files the same name, from its enum; "" in HDF5 files, which do not
  // tell.
  std::string type;
  std::vector<WeightBlob> blobs;
};

struct WeightFile {
  std::string net_name;  // "" in HDF5 files
  bool hdf5 = false;
  std::vector<WeightLayer> layers;  // in file order; HDF5: by name
};

// Reads either format, told apart by HDF5's signature.
WeightFile read_weights(const std::string& path);

// A dataset of an HDF5 snapshot. Throws data_error, before it is read, where it has more elements than a blob.
WeightBlob read_hdf5_blob(const Hdf5File& file, const std::string& dataset);

// One layer to be written. `param` is the effective LayerParameter, its `blobs` ignored; null writes no more
// than the name (enough for HDF5).
struct WeightLayerRef {
  std::string name;
  const caffe::LayerParameter* param = nullptr;
  std::vector<BlobRef> blobs;
};

// The largest binary message that protobuf reads: 2^31 - 1 bytes.
constexpr int64_t kLargestBinaryMessage = 2147483647;

// The exact size of the binary weight file.
int64_t binary_weights_size(const std::string& net_name, const std::vector<WeightLayerRef>& layers);
// Throws data_error with the remedy (snapshot_format: HDF5) if `bytes` passes kLargestBinaryMessage; `what`
// names the file in the message.
void check_binary_size(int64_t bytes, const std::string& what);

void write_weights(AtomicFile& file, const std::string& net_name, const std::vector<WeightLayerRef>& layers);

// A layer of an HDF5 file, and how many blobs it has.
struct Hdf5LayerName {
  std::string name;
  size_t blobs = 0;
};
// Throws data_error with the remedy where HDF5 cannot keep these layers side by side: a name that is no path of groups
// ("", ".", "a//b", a leading or trailing "/"), two layers with blobs of one name, a layer "a/0" beside a blob 0 of
// layer "a". `what` names the file in the message.
void check_hdf5_names(const std::string& what, const std::vector<Hdf5LayerName>& layers);

// Groups /data/<layer>/<i>, and /diff/<layer>/<i> where diffs are given. A "/" in a layer's name nests
// groups; what check_hdf5_names refuses is refused here too.
void write_weights_hdf5(AtomicFile& place, const std::vector<WeightLayerRef>& layers);

}  // namespace trainer
