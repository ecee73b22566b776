#include "server/layers/layer_weights.h"

#include <array>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/status_macros.h"
#include "server/layers/layer_checks.h"
#include "server/layers/tensor_copier.h"

namespace attention::server {
namespace {

// A row vector of a file, of the given extents.
absl::StatusOr<StoredMatrix> ReadRow(const StoredTensor& tensor,
                                     const std::vector<int64_t>& shape) {
  ATTENTION_RETURN_IF_ERROR(CheckShape(tensor, shape));
  return StoredMatrix{.name = tensor.name,
                      .type = tensor.type,
                      .row_count = 1,
                      .column_count = tensor.element_count(),
                      .bytes = tensor.bytes};
}

// The tensors of one layer: who takes them, and what is left.
class LayerReader {
 public:
  LayerReader(const LayerDescription& description, const StoredTensors& tensors,
              kernels::DataType type, LayerContents& contents)
      : description_(description), tensors_(tensors), copier_(type, contents.storage) {}

  // Null if the file has none.
  const StoredTensor* Find(absl::string_view name) {
    asked_.emplace(name);
    const auto found = tensors_.find(description_.StoredName(name));
    if (found == tensors_.end()) return nullptr;
    taken_.insert(found->first);
    return &found->second;
  }

  absl::StatusOr<const StoredTensor*> Get(absl::string_view name) {
    const StoredTensor* const tensor = Find(name);
    if (tensor != nullptr) return tensor;
    return absl::InvalidArgumentError(
        absl::StrCat("got no tensor '", description_.StoredName(name), "', want one"));
  }

  // A row vector of the given extents; none if the file has none.
  absl::StatusOr<std::optional<StoredMatrix>> FindRow(absl::string_view name,
                                                      const std::vector<int64_t>& shape) {
    const StoredTensor* const tensor = Find(name);
    if (tensor == nullptr) return std::nullopt;
    return ReadRow(*tensor, shape);
  }

  // A tensor or a name that nobody asked for is misspelt.
  absl::Status CheckThatNoneIsLeft() const {
    for (const auto& [name, stored] : description_.names) {
      if (asked_.contains(name)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("names in layer.json: got '", name, "', want names of the tensors that a ",
                       "layer of the format \"", Name(description_.format), "\" has"));
    }
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.contains(name)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", name, "': got one that a layer of the format \"",
                       Name(description_.format), "\" does not have"));
    }
    return absl::OkStatus();
  }

  // y = x weight + bias, if there is one.
  absl::StatusOr<LinearMap> Map(const StoredMatrix& weight,
                                const std::optional<StoredMatrix>& bias) {
    LinearMap map = {.input_width = weight.transposed ? weight.column_count : weight.row_count,
                     .output_width = weight.transposed ? weight.row_count : weight.column_count};
    ATTENTION_ASSIGN_OR_RETURN(map.weight, copier_.Copy(weight));
    if (bias.has_value()) {
      ATTENTION_ASSIGN_OR_RETURN(map.bias, copier_.Copy(*bias));
    }
    return map;
  }

  absl::StatusOr<const void*> Row(const StoredMatrix& row) { return copier_.Copy(row); }

 private:
  const LayerDescription& description_;
  const StoredTensors& tensors_;
  std::set<std::string> asked_;  // in the format's own words
  std::set<std::string> taken_;  // in the file's
  TensorCopier copier_;
};

using MapOfLayer = std::optional<LinearMap> LayerContents::*;

// The three maps to heads, in PyTorch's order.
struct HeadMap {
  MapOfLayer map;
  absl::string_view name;
};
constexpr std::array<HeadMap, 3> kHeadMaps = {HeadMap{&LayerContents::query, "query"},
                                              HeadMap{&LayerContents::key, "key"},
                                              HeadMap{&LayerContents::value, "value"}};

constexpr std::array<absl::string_view, 3> kSeparateWeights = {"q_proj_weight", "k_proj_weight",
                                                               "v_proj_weight"};

absl::Status ReadPyTorchHeads(LayerReader& reader, LayerContents& contents, int64_t& width) {
  const StoredTensor* const packed = reader.Find("in_proj_weight");
  if (packed != nullptr) {
    ATTENTION_RETURN_IF_ERROR(CheckShape(*packed, {kAnyExtent, kAnyExtent}));
    width = packed->shape[1];
    ATTENTION_RETURN_IF_ERROR(CheckShape(*packed, {3 * width, width}));
  } else {
    ATTENTION_ASSIGN_OR_RETURN(const StoredTensor* const query, reader.Get(kSeparateWeights[0]));
    ATTENTION_RETURN_IF_ERROR(CheckShape(*query, {kAnyExtent, kAnyExtent}));
    width = query->shape[0];
  }
  ATTENTION_ASSIGN_OR_RETURN(const std::optional<StoredMatrix> biases,
                             reader.FindRow("in_proj_bias", {3 * width}));
  for (int64_t i = 0; i < 3; ++i) {
    StoredMatrix weight;
    if (packed != nullptr) {
      weight = MatrixOf(*packed).Rows(i * width, width);
    } else {
      const absl::string_view name = kSeparateWeights[static_cast<size_t>(i)];
      ATTENTION_ASSIGN_OR_RETURN(const StoredTensor* const tensor, reader.Get(name));
      ATTENTION_RETURN_IF_ERROR(CheckShape(*tensor, {width, kAnyExtent}));
      weight = MatrixOf(*tensor);
    }
    weight.transposed = true;
    std::optional<StoredMatrix> bias;
    if (biases.has_value()) bias = biases->Columns(i * width, width);
    ATTENTION_ASSIGN_OR_RETURN(contents.*kHeadMaps[static_cast<size_t>(i)].map,
                               reader.Map(weight, bias));
  }
  return absl::OkStatus();
}

absl::Status ReadPyTorch(const LayerDescription& description, LayerReader& reader,
                         LayerContents& contents) {
  int64_t width = 0;
  contents.head_count = contents.key_value_head_count = *description.head_count;
  ATTENTION_RETURN_IF_ERROR(ReadPyTorchHeads(reader, contents, width));
  ATTENTION_ASSIGN_OR_RETURN(const StoredTensor* const output, reader.Get("out_proj.weight"));
  ATTENTION_RETURN_IF_ERROR(CheckShape(*output, {kAnyExtent, width}));
  StoredMatrix weight = MatrixOf(*output);
  weight.transposed = true;
  ATTENTION_ASSIGN_OR_RETURN(const std::optional<StoredMatrix> bias,
                             reader.FindRow("out_proj.bias", {output->shape[0]}));
  ATTENTION_ASSIGN_OR_RETURN(contents.output, reader.Map(weight, bias));

  const StoredTensor* const key = reader.Find("bias_k");
  const StoredTensor* const value = reader.Find("bias_v");
  if ((key == nullptr) != (value == nullptr)) {
    return absl::InvalidArgumentError("got one of bias_k and bias_v, want both or neither");
  }
  if (key != nullptr) {
    ATTENTION_ASSIGN_OR_RETURN(const StoredMatrix key_row, ReadRow(*key, {1, 1, width}));
    ATTENTION_ASSIGN_OR_RETURN(const StoredMatrix value_row, ReadRow(*value, {1, 1, width}));
    ATTENTION_ASSIGN_OR_RETURN(contents.appended_key, reader.Row(key_row));
    ATTENTION_ASSIGN_OR_RETURN(contents.appended_value, reader.Row(value_row));
  }
  // A zero key has the score 0, and its zero value adds nothing.
  if (description.add_zero_attn) contents.sinks.assign(static_cast<size_t>(contents.head_count), 0);
  return absl::OkStatus();
}

// A Keras map to `head_count` heads, whose number the first one decides.
absl::StatusOr<LinearMap> ReadKerasHeads(absl::string_view name, std::optional<int64_t>& head_count,
                                         LayerReader& reader) {
  const std::string kernel_name = absl::StrCat(name, "/kernel");
  ATTENTION_ASSIGN_OR_RETURN(const StoredTensor* const kernel, reader.Get(kernel_name));
  ATTENTION_RETURN_IF_ERROR(
      CheckShape(*kernel, {kAnyExtent, head_count.value_or(kAnyExtent), kAnyExtent}));
  head_count = kernel->shape[1];
  const StoredMatrix weight = MatrixOf(*kernel);
  ATTENTION_ASSIGN_OR_RETURN(
      const std::optional<StoredMatrix> bias,
      reader.FindRow(absl::StrCat(name, "/bias"), {kernel->shape[1], kernel->shape[2]}));
  return reader.Map(weight, bias);
}

absl::Status ReadKeras(const LayerDescription& description, LayerReader& reader,
                       LayerContents& contents) {
  std::optional<int64_t> head_count = description.head_count;
  std::optional<int64_t> key_value_head_count = description.key_value_head_count;
  ATTENTION_ASSIGN_OR_RETURN(contents.query, ReadKerasHeads("query", head_count, reader));
  ATTENTION_ASSIGN_OR_RETURN(contents.key, ReadKerasHeads("key", key_value_head_count, reader));
  ATTENTION_ASSIGN_OR_RETURN(contents.value, ReadKerasHeads("value", key_value_head_count, reader));
  contents.head_count = *head_count;
  contents.key_value_head_count = *key_value_head_count;

  constexpr absl::string_view kKernel = "attention_output/kernel";
  constexpr absl::string_view kBias = "attention_output/bias";
  ATTENTION_ASSIGN_OR_RETURN(const StoredTensor* const kernel, reader.Get(kKernel));
  ATTENTION_RETURN_IF_ERROR(CheckShape(*kernel, {*head_count, kAnyExtent, kAnyExtent}));
  StoredMatrix weight = MatrixOf(*kernel);
  weight.row_count = kernel->shape[0] * kernel->shape[1];
  weight.column_count = kernel->shape[2];
  ATTENTION_ASSIGN_OR_RETURN(const std::optional<StoredMatrix> bias,
                             reader.FindRow(kBias, {kernel->shape[2]}));
  ATTENTION_ASSIGN_OR_RETURN(contents.output, reader.Map(weight, bias));
  return absl::OkStatus();
}

// A plain map, which may be absent.
absl::Status ReadPlainMap(absl::string_view name, bool transposed, LayerReader& reader,
                          std::optional<LinearMap>& map) {
  const std::string weight_name = absl::StrCat(name, ".weight");
  const StoredTensor* const weight = reader.Find(weight_name);
  if (weight == nullptr) return absl::OkStatus();  // a bias of its own is then left over
  ATTENTION_RETURN_IF_ERROR(CheckShape(*weight, {kAnyExtent, kAnyExtent}));
  StoredMatrix matrix = MatrixOf(*weight);
  matrix.transposed = transposed;
  ATTENTION_ASSIGN_OR_RETURN(
      const std::optional<StoredMatrix> bias,
      reader.FindRow(absl::StrCat(name, ".bias"), {weight->shape[transposed ? 0 : 1]}));
  ATTENTION_ASSIGN_OR_RETURN(map, reader.Map(matrix, bias));
  return absl::OkStatus();
}

absl::Status ReadPlain(const LayerDescription& description, LayerReader& reader,
                       LayerContents& contents) {
  contents.head_count = *description.head_count;
  contents.key_value_head_count = description.key_value_head_count.value_or(contents.head_count);
  for (const HeadMap& each : kHeadMaps) {
    ATTENTION_RETURN_IF_ERROR(
        ReadPlainMap(each.name, description.transposed, reader, contents.*each.map));
  }
  ATTENTION_RETURN_IF_ERROR(
      ReadPlainMap("output", description.transposed, reader, contents.output));
  return absl::OkStatus();
}

absl::Status ReadFormat(const LayerDescription& description, LayerReader& reader,
                        LayerContents& contents) {
  switch (description.format) {
    case LayerFormat::kPyTorch:
      return ReadPyTorch(description, reader, contents);
    case LayerFormat::kKeras:
      return ReadKeras(description, reader, contents);
    case LayerFormat::kPlain:
      return ReadPlain(description, reader, contents);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> LayerWeightBytes(const LayerDescription& description,
                                         const StoredTensors& tensors) {
  ATTENTION_ASSIGN_OR_RETURN(const kernels::DataType type, TypeOfLayer(description.type, tensors));
  int64_t element_count = 0;  // of one file, whose elements are there
  for (const auto& [name, tensor] : tensors) element_count += tensor.element_count();
  return element_count * static_cast<int64_t>(kernels::ElementBytes(type));
}

absl::StatusOr<LayerContents> ReadLayerWeights(const LayerDescription& description,
                                               const StoredTensors& tensors) {
  LayerContents contents;
  contents.format = std::string(Name(description.format));
  contents.scale = description.scale;
  ATTENTION_ASSIGN_OR_RETURN(contents.type, TypeOfLayer(description.type, tensors));
  LayerReader reader(description, tensors, contents.type, contents);
  ATTENTION_RETURN_IF_ERROR(ReadFormat(description, reader, contents));
  ATTENTION_RETURN_IF_ERROR(reader.CheckThatNoneIsLeft());
  ATTENTION_RETURN_IF_ERROR(CheckLayer(contents));
  return contents;
}

}  // namespace attention::server
