// cuDNN's graph API on the CPU: descriptors store their attributes, plans interpret convolutions and pointwise
// operations. The engines differ in their notes. One rounds f32 like tensor cores, and one returns 0 for NaN in a relu,
// like cuDNN's precompiled engines.
#include <cudnn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cudnn_attributes.h"
#include "emulated_runtime.h"
#include "numbers.h"

using emulator::Element;

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

constexpr int64_t kWorkspace = 1024;

struct Engine {
  const char* launch;  // the name in the log
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool relu_drops_nan;
};
enum EngineIndex : int64_t { kNarrowSums, kTensorCores, kPlain, kAtomics };
const Engine kEngines[] = {
    {"cudnnBackendExecute narrow_sums", {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}, false},
    {"cudnnBackendExecute tensor_cores",
     {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
     false},
    {"cudnnBackendExecute plain", {}, true},
    {"cudnnBackendExecute atomics", {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, false},
};

bool behaves(const char* how) {
  const char* behavior = std::getenv("EMULATED_CUDNN");
  return behavior != nullptr && std::string(behavior) == how;
}
bool knows_nothing() { return behaves("absent-engines"); }
bool drops_nan() { return behaves("drops-nan"); }

thread_local std::string last_error;

cudnnStatus_t refuse(const std::string& reason, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  last_error = reason;
  return status;
}

// For mistakes that cuDNN does not report.
[[noreturn]] void fail(const std::string& mistake) {
  std::fprintf(stderr, "emulated cuDNN: %s\n", mistake.c_str());
  std::abort();
}

struct AttributeType {
  const char *attribute, *name;
  cudnnBackendAttributeType_t type;
};
const AttributeType* type_of(cudnnBackendAttributeName_t name) {
#define TEXT(expanded) #expanded
#define X(attribute, type) {attribute, {#attribute, TEXT(type), type}},
  static const std::map<int, AttributeType> types = {CUDNN_ATTRIBUTES(X)};
#undef X
#undef TEXT
  const auto found = types.find(name);
  return found == types.end() ? nullptr : &found->second;
}

// With another type, cuDNN would read wrong bytes.
void require_type(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t given) {
  const AttributeType* expected = type_of(name);
  if (expected == nullptr || expected->type == given) return;
  fail(std::string(expected->attribute) + " has the type " + expected->name + " and is accessed with type " +
       std::to_string(given));
}

size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_CHAR: return 1;
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR: return 8;
    default: return 4;
  }
}

// The content of a descriptor. Descriptors that refer to it share it.
struct Data {
  struct Attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<char> bytes;
    std::vector<std::shared_ptr<const Data>> descriptors;
  };
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes;

  bool has(int name) const { return attributes.count(name) > 0; }
  template <typename T>
  std::vector<T> all(int name) const {
    std::vector<T> values;
    const auto found = attributes.find(name);
    if (found == attributes.end()) return values;
    values.resize(static_cast<size_t>(found->second.count));
    std::memcpy(values.data(), found->second.bytes.data(), values.size() * sizeof(T));
    return values;
  }
  template <typename T>
  T one(int name, T otherwise) const {
    if (has(name)) std::memcpy(&otherwise, attributes.at(name).bytes.data(), sizeof(T));
    return otherwise;
  }
  const std::vector<std::shared_ptr<const Data>>& descriptors(int name) const {
    return attributes.at(name).descriptors;
  }
  const Data& descriptor(int name) const { return *descriptors(name).at(0); }
  void set_int64(int name, int64_t value) {
    Attribute& attribute = attributes[name] = {CUDNN_TYPE_INT64, 1, std::vector<char>(sizeof value), {}};
    std::memcpy(attribute.bytes.data(), &value, sizeof value);
  }
};

using Handle = std::shared_ptr<Data>;
const Handle& of(cudnnBackendDescriptor_t descriptor) { return *static_cast<Handle*>(descriptor); }

// Converts a descriptor, with all descriptors that it refers to, to bytes and back.
template <typename T>
void write(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}
void write(std::string* out, const Data& data) {
  write(out, data.type);
  write(out, data.attributes.size());
  for (const auto& [name, attribute] : data.attributes) {
    write(out, name);
    write(out, attribute.type);
    write(out, attribute.count);
    write(out, attribute.bytes.size());
    out->append(attribute.bytes.begin(), attribute.bytes.end());
    write(out, attribute.descriptors.size());
    for (const auto& descriptor : attribute.descriptors) write(out, *descriptor);
  }
}
class Reader {
 public:
  explicit Reader(const std::vector<char>& from) : from_(from) {}
  // nullptr if the bytes are not a descriptor.
  std::shared_ptr<const Data> read() {
    auto data = std::make_shared<Data>();
    size_t attributes = 0;
    if (!take(&data->type) || !take(&attributes)) return nullptr;
    for (size_t i = 0; i < attributes; ++i) {
      int name = 0;
      Data::Attribute attribute{};
      size_t bytes = 0, descriptors = 0;
      if (!take(&name) || !take(&attribute.type) || !take(&attribute.count) || !take(&bytes) ||
          bytes > from_.size() - at_)
        return nullptr;
      attribute.bytes.assign(from_.begin() + static_cast<ptrdiff_t>(at_),
                             from_.begin() + static_cast<ptrdiff_t>(at_ + bytes));
      at_ += bytes;
      if (!take(&descriptors)) return nullptr;
      for (size_t d = 0; d < descriptors; ++d) {
        attribute.descriptors.push_back(read());
        if (attribute.descriptors.back() == nullptr) return nullptr;
      }
      data->attributes[name] = std::move(attribute);
    }
    data->finalized = true;
    return data;
  }

 private:
  template <typename T>
  bool take(T* value) {
    if (from_.size() - at_ < sizeof(T)) return false;
    std::memcpy(value, from_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }

  const std::vector<char>& from_;
  size_t at_ = 0;
};

struct Tensor {
  explicit Tensor(const Data& data)
      : number(data.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0)),
        type(data.one<int>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT) == CUDNN_DATA_FLOAT  ? Element::kF32
             : data.one<int>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT) == CUDNN_DATA_HALF ? Element::kF16
                                                                                               : Element::kBF16),
        is_virtual(data.one<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false)),
        alignment(data.one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1)),
        extents(data.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS)),
        strides(data.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES)) {}

  int64_t count() const {
    int64_t product = 1;
    for (int64_t extent : extents) product *= extent;
    return product;
  }
  size_t bytes() const {
    int64_t last = 0;
    for (size_t i = 0; i < extents.size(); ++i) last += (extents[i] - 1) * strides[i];
    return static_cast<size_t>(last + 1) * emulator::size_of(type);
  }
  // The offset of an element by its row-major index.
  int64_t offset(int64_t element) const {
    int64_t at = 0;
    for (size_t i = extents.size(); i-- > 0; element /= extents[i]) at += element % extents[i] * strides[i];
    return at;
  }

  int64_t number;
  Element type;
  bool is_virtual;
  int64_t alignment;
  std::vector<int64_t> extents, strides;
};

struct Convolution {
  explicit Convolution(const Data& data)
      : stride(data.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)),
        dilation(data.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS)),
        before(data.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)),
        after(data.all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)) {}
  std::vector<int64_t> stride, dilation, before, after;
};

// The attributes of the three convolution operations.
struct Names {
  int convolution, x, w, y, alpha, beta;
};
const Names* names_of(cudnnBackendDescriptorType_t type) {
  static const Names forward = {
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  static const Names data = {
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  static const Names filter = {
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  switch (type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR: return &forward;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR: return &data;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: return &filter;
    default: return nullptr;
  }
}

std::vector<int> required_by(cudnnBackendDescriptorType_t type) {
  if (const Names* n = names_of(type)) return {n->convolution, n->x, n->w, n->y, n->alpha, n->beta};
  switch (type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_ATTR_TENSOR_STRIDES,
              CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT};
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return {CUDNN_ATTR_CONVOLUTION_COMP_TYPE,    CUDNN_ATTR_CONVOLUTION_CONV_MODE,
              CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
              CUDNN_ATTR_CONVOLUTION_DILATIONS,    CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
              CUDNN_ATTR_CONVOLUTION_POST_PADDINGS};
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: return {CUDNN_ATTR_POINTWISE_MODE, CUDNN_ATTR_POINTWISE_MATH_PREC};
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
              CUDNN_ATTR_OPERATION_POINTWISE_YDESC};
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return {CUDNN_ATTR_OPERATIONGRAPH_OPS};
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE};
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG};
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS};
    default: return {};
  }
}

// Why the attributes of a descriptor are inconsistent, or "".
std::string mismatch_of(const Data& operation) {
  if (operation.type == CUDNN_BACKEND_POINTWISE_DESCRIPTOR) {
    for (const int name :
         {CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_ATTR_POINTWISE_ELU_ALPHA,
          CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA, CUDNN_ATTR_POINTWISE_SWISH_BETA}) {
      if (operation.has(name)) return "attribute " + std::to_string(name) + " is not emulated";
    }
    if (operation.one<int>(CUDNN_ATTR_POINTWISE_MODE, -1) == CUDNN_POINTWISE_RELU_FWD &&
        operation.one<int>(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_NOT_PROPAGATE_NAN) != CUDNN_PROPAGATE_NAN)
      fail("a relu without CUDNN_PROPAGATE_NAN");
  }
  if (const Names* n = names_of(operation.type)) {
    const Tensor x(operation.descriptor(n->x)), w(operation.descriptor(n->w)), y(operation.descriptor(n->y));
    const Convolution c(operation.descriptor(n->convolution));
    const size_t axes = c.stride.size() + 2;
    if (axes < 4 || x.extents.size() != axes || w.extents.size() != axes || y.extents.size() != axes)
      return "the ranks differ";
    if (c.dilation.size() + 2 != axes || c.before.size() + 2 != axes || c.after.size() + 2 != axes)
      return "the convolution's ranks differ";
    if (x.extents[0] != y.extents[0] || w.extents[0] != y.extents[1]) return "batches or outputs differ";
    if (x.extents[1] % w.extents[1] != 0 || y.extents[1] % (x.extents[1] / w.extents[1]) != 0)
      return "channels do not divide into groups";
    for (size_t i = 2; i < axes; ++i) {
      const int64_t reach = c.dilation[i - 2] * (w.extents[i] - 1) + 1,
                    padded = x.extents[i] + c.before[i - 2] + c.after[i - 2];
      if (padded < reach || (padded - reach) / c.stride[i - 2] + 1 != y.extents[i])
        return "a spatial extent does not fit";
    }
  }
  if (operation.type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) {
    for (const int name : {CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2}) {
      if (operation.one<float>(name, 1) != 1) return "scales of pointwise operations are not emulated";
    }
    const Tensor x(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)),
        y(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    if (x.extents != y.extents) return "the extents differ";
    const int mode =
        operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).one<int>(CUDNN_ATTR_POINTWISE_MODE, -1);
    if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD) return "this mode is not emulated";
    if ((mode == CUDNN_POINTWISE_ADD) != operation.has(CUDNN_ATTR_OPERATION_POINTWISE_BDESC))
      return "an operand too many or too few";
    if (mode == CUDNN_POINTWISE_ADD) {
      const Tensor b(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
      if (b.extents.size() != x.extents.size()) return "the ranks differ";
      for (size_t i = 0; i < b.extents.size(); ++i) {
        if (b.extents[i] != 1 && b.extents[i] != x.extents[i]) return "an operand does not spread";
      }
    }
  }
  return "";
}

// Runs a graph on dense row-major copies of its tensors.
class Execution {
 public:
  Execution(std::map<int64_t, void*> memory, bool rounds, bool drops_nan)
      : memory_(std::move(memory)), rounds_(rounds), drops_nan_(drops_nan) {}

  void run(const Data& operation) {
    if (const Names* names = names_of(operation.type)) {
      convolve(operation, *names);
    } else {
      apply(operation);
    }
  }

 private:
  const std::vector<float>& read(const Tensor& t) {
    const auto known = virtuals_.find(t.number);
    if (t.is_virtual && known != virtuals_.end()) return known->second;
    std::vector<float>& values = virtuals_[t.number];
    values.resize(static_cast<size_t>(t.count()));
    for (int64_t i = 0; i < t.count(); ++i)
      values[static_cast<size_t>(i)] = emulator::load(memory_.at(t.number), t.type, t.offset(i));
    return values;
  }
  void write(const Tensor& t, std::vector<float> values) {
    for (int64_t i = 0; !t.is_virtual && i < t.count(); ++i)
      emulator::store(memory_.at(t.number), t.type, t.offset(i), values[static_cast<size_t>(i)]);
    if (t.is_virtual) virtuals_[t.number] = std::move(values);
  }

  void apply(const Data& operation) {
    const Data& pointwise = operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const Tensor x(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)),
        y(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    std::vector<float> values = read(x);
    if (pointwise.one<int>(CUDNN_ATTR_POINTWISE_MODE, -1) == CUDNN_POINTWISE_RELU_FWD) {
      const float slope = static_cast<float>(pointwise.one<double>(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0));
      for (float& value : values)
        value = value > 0 || (value != value && !drops_nan_) ? value : slope == 0 ? 0 : slope * value;
    } else {
      Tensor b(operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
      for (size_t i = 0; i < b.extents.size(); ++i) {
        if (b.extents[i] == 1) b.strides[i] = 0;
      }
      b.extents = x.extents;
      for (int64_t i = 0; i < x.count(); ++i)
        values[static_cast<size_t>(i)] += emulator::load(memory_.at(b.number), b.type, b.offset(i));
    }
    write(y, std::move(values));
  }

  // Calls of(x, w, y) with the offsets of each product.
  template <typename Product>
  static void each_product(const Tensor& x, const Tensor& w, const Tensor& y, const Convolution& c, const Product& of) {
    const int64_t each = w.extents[1], group_outputs = y.extents[1] / (x.extents[1] / each);
    const size_t spatial = x.extents.size() - 2;
    const auto area = [](const Tensor& t) { return t.count() / t.extents[0] / t.extents[1]; };
    const int64_t x_area = area(x), w_area = area(w), y_area = area(y);
    for (int64_t at = 0; at < y_area; ++at) {
      for (int64_t tap = 0; tap < w_area; ++tap) {
        int64_t rest_y = at, rest_w = tap, from = 0, step = 1;
        bool inside = true;
        for (size_t i = spatial; i-- > 0;) {
          const int64_t place =
              rest_y % y.extents[i + 2] * c.stride[i] - c.before[i] + rest_w % w.extents[i + 2] * c.dilation[i];
          inside = inside && place >= 0 && place < x.extents[i + 2];
          from += place * step;
          step *= x.extents[i + 2];
          rest_y /= y.extents[i + 2];
          rest_w /= w.extents[i + 2];
        }
        if (!inside) continue;
        for (int64_t n = 0; n < x.extents[0]; ++n) {
          for (int64_t o = 0; o < y.extents[1]; ++o) {
            const int64_t first = o / group_outputs * each;
            for (int64_t i = 0; i < each; ++i)
              of(static_cast<size_t>((n * x.extents[1] + first + i) * x_area + from),
                 static_cast<size_t>((o * each + i) * w_area + tap),
                 static_cast<size_t>((n * y.extents[1] + o) * y_area + at));
          }
        }
      }
    }
  }

  void convolve(const Data& operation, const Names& names) {
    const Tensor x(operation.descriptor(names.x)), w(operation.descriptor(names.w)), y(operation.descriptor(names.y));
    const Convolution c(operation.descriptor(names.convolution));
    const bool forward = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
    const bool data = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const Tensor& result = forward ? y : data ? x : w;
    std::vector<float> sums(static_cast<size_t>(result.count()));
    const auto factors = [this](const Tensor& t) {
      std::vector<float> values = read(t);
      for (float& value : values) value = rounds_ ? emulator::to_tf32(value) : value;
      return values;
    };
    if (forward) {
      const std::vector<float> a = factors(x), b = factors(w);
      each_product(x, w, y, c, [&](size_t at_x, size_t at_w, size_t at_y) { sums[at_y] += a[at_x] * b[at_w]; });
    } else if (data) {
      const std::vector<float> a = factors(y), b = factors(w);
      each_product(x, w, y, c, [&](size_t at_x, size_t at_w, size_t at_y) { sums[at_x] += a[at_y] * b[at_w]; });
    } else {
      const std::vector<float> a = factors(x), b = factors(y);
      each_product(x, w, y, c, [&](size_t at_x, size_t at_w, size_t at_y) { sums[at_w] += a[at_x] * b[at_y]; });
    }
    const float alpha = operation.one<float>(names.alpha, 1), beta = operation.one<float>(names.beta, 0);
    for (float& sum : sums) sum *= alpha;
    if (beta != 0) {
      const std::vector<float>& old = read(result);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += beta * old[i];
    }
    write(result, std::move(sums));
  }

  std::map<int64_t, void*> memory_;
  bool rounds_, drops_nan_;                         // rounds_: the factors, like tensor cores
  std::map<int64_t, std::vector<float>> virtuals_;  // virtual tensors and inputs
};

std::vector<Tensor> tensors_of(const Data& operation) {
  std::vector<Tensor> tensors;
  for (const auto& [name, attribute] : operation.attributes) {
    for (const auto& descriptor : attribute.descriptors) {
      if (descriptor->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR) tensors.emplace_back(*descriptor);
    }
  }
  return tensors;
}

}  // namespace

extern "C" {

// Another version per behavior keeps their cached results separate.
size_t cudnnGetVersion() { return drops_nan() ? 91901 : 91900; }
size_t cudnnGetCudartVersion() { return 13000; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH: return "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    default: return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}
void cudnnGetLastErrorString(char* message, size_t size) {
  std::snprintf(message, size, "%s", last_error.c_str());
  last_error.clear();
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* descriptor) {
  auto data = std::make_shared<Data>();
  data->type = type;
  *descriptor = new Handle(std::move(data));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Handle*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Data& data = *of(descriptor);
  if (data.finalized) return refuse("an attribute is set after finalize", CUDNN_STATUS_NOT_INITIALIZED);
  if (type_of(name) == nullptr)
    return refuse("attribute " + std::to_string(name) + " is not emulated", CUDNN_STATUS_NOT_SUPPORTED);
  require_type(name, type);
  Data::Attribute attribute{type, count, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const cudnnBackendDescriptor_t* others = static_cast<const cudnnBackendDescriptor_t*>(values);
    for (int64_t i = 0; i < count; ++i) {
      if (!of(others[i])->finalized) return refuse("an attribute is a descriptor that is not finalized");
      attribute.descriptors.push_back(of(others[i]));
    }
  } else {
    const char* bytes = static_cast<const char*>(values);
    attribute.bytes.assign(bytes, bytes + static_cast<size_t>(count) * bytes_of(type));
  }
  data.attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Data& data = *of(descriptor);
  if (data.has(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)) {
    auto configuration = Reader(data.attributes[CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION].bytes).read();
    if (configuration == nullptr) return refuse("the text is none of a plan");
    if (knows_nothing()) return refuse("there is no such engine", CUDNN_STATUS_NOT_SUPPORTED);
    data.attributes[CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG] = {
        CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {std::move(configuration)}};
  }
  if (behaves("mixed-versions") && data.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
    return refuse("a part is of another version", CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH);
  for (const int name : required_by(data.type)) {
    if (!data.has(name)) return refuse("attribute " + std::to_string(name) + " is missing");
  }
  if (const std::string mismatch = mismatch_of(data); !mismatch.empty()) return refuse(mismatch);
  if (data.type == CUDNN_BACKEND_TENSOR_DESCRIPTOR) {
    const Tensor t(data);
    if (t.extents.empty() || t.extents.size() != t.strides.size())
      return refuse("extents and strides differ in number");
  }
  if (data.type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR &&
      data.attributes[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].count !=
          data.attributes[CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].count)
    return refuse("numbers and pointers differ in number");
  data.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested, int64_t* count,
                                       void* values) {
  const Handle& data = of(descriptor);
  require_type(name, type);
  if (!data->finalized) return refuse("an attribute is asked for before finalize", CUDNN_STATUS_NOT_INITIALIZED);
  *count = 1;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      const Data& graph = data->descriptor(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
      const bool fuses = graph.descriptors(CUDNN_ATTR_OPERATIONGRAPH_OPS).size() > 1;
      *count = knows_nothing() || (fuses && behaves("absent-fusions"))
                   ? 0
                   : std::min(requested, static_cast<int64_t>(std::size(kEngines)));
      for (int64_t i = 0; i < *count; ++i) {
        Data& config = *of(static_cast<cudnnBackendDescriptor_t*>(values)[i]);
        config.attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] =
            data->attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
        config.set_int64(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, i);
        config.finalized = true;
      }
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE: {
      Data& engine = *of(*static_cast<cudnnBackendDescriptor_t*>(values));
      engine.attributes = data->attributes;
      engine.finalized = true;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE: *count = 0; return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: {
      const auto& notes = kEngines[data->one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)].notes;
      *count = static_cast<int64_t>(notes.size());
      std::copy_n(notes.begin(), std::min(requested, *count), static_cast<cudnnBackendNumericalNote_t*>(values));
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      std::memcpy(values, &kWorkspace, sizeof kWorkspace);
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION: {
      std::string text;
      write(&text, data->descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
      *count = static_cast<int64_t>(text.size());
      std::memcpy(values, text.data(), static_cast<size_t>(std::min(requested, *count)));
      return CUDNN_STATUS_SUCCESS;
    }
    default: return refuse("attribute " + std::to_string(name) + " is not emulated", CUDNN_STATUS_NOT_SUPPORTED);
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  if (!of(plan)->finalized || !of(pack)->finalized) return refuse("not finalized");
  const Data& config = of(plan)->descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Data& graph = config.descriptor(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  const int64_t engine = config.one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, kPlain);
  if (engine == kNarrowSums)
    return refuse("an engine is taken whose sums are not floats", CUDNN_STATUS_EXECUTION_FAILED);
  const std::vector<int64_t> numbers = of(pack)->all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const std::vector<void*> pointers = of(pack)->all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  void* workspace = of(pack)->one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, nullptr);
  std::map<int64_t, void*> memory;
  for (size_t i = 0; i < numbers.size(); ++i) memory[numbers[i]] = pointers[i];
  const std::vector<std::shared_ptr<const Data>> operations = graph.descriptors(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (const auto& operation : operations) {
    for (const Tensor& t : tensors_of(*operation)) {
      if (t.is_virtual) continue;
      const auto given = memory.find(t.number);
      if (given == memory.end()) return refuse("tensor " + std::to_string(t.number) + " is not given");
      if (reinterpret_cast<int64_t>(given->second) % t.alignment != 0)
        return refuse("a tensor is not aligned as it was said to be");
      if (!emulated_on_device(given->second, t.bytes()))
        return refuse("a tensor is not on the device", CUDNN_STATUS_EXECUTION_FAILED);
    }
  }
  if (!emulated_on_device(workspace, kWorkspace))
    return refuse("the workspace is not on the device", CUDNN_STATUS_EXECUTION_FAILED);
  const bool relu_drops_nan = kEngines[engine].relu_drops_nan || drops_nan();
  const cudaError_t queued = emulated_enqueue(handle->stream, kEngines[engine].launch,
                                              [operations, memory, workspace, engine, relu_drops_nan] {
                                                std::memset(workspace, 0xFF, kWorkspace);
                                                Execution execution(memory, engine == kTensorCores, relu_drops_nan);
                                                for (const auto& operation : operations) execution.run(*operation);
                                              });
  return queued == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
