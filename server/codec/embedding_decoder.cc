#include "server/codec/embedding_decoder.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/layer_codec.h"
#include "server/codec/operand_checks.h"
#include "server/codec/options_codec.h"
#include "server/core/packed_strides.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// The heads of one operand, and the field whose extent decides their width.
struct Heads {
  HeadsSource source;
  std::string width_path;

  [[nodiscard]] int64_t head_width() const { return source.view.extents[3]; }
};

// Where one operand's heads come from: its embeddings, by a map of the request, a map of a layer or
// as they are, and how many they are split into.
struct OperandFields {
  const Embeddings& embeddings;
  absl::string_view role;  // "query", "key" or "value"
  const v1::Projection* projection = nullptr;
  const std::optional<LinearMap>* layer_map = nullptr;  // null without a layer
  int64_t head_count = 1;
  absl::string_view head_count_path;
};

// `whose_width` says, in an error, where `input_width` comes from.
absl::StatusOr<LinearMap> ReadLinearMap(const v1::Projection& projection, absl::string_view path,
                                        v1::DataType type, int64_t input_width,
                                        absl::string_view whose_width, TensorReader& reader) {
  const std::string weight_path = absl::StrCat(path, ".weight");
  if (!projection.has_weight()) return MissingField(weight_path);
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor weight,
                             reader.Read(projection.weight(), weight_path));
  ATTENTION_RETURN_IF_ERROR(CheckSameType(weight, weight_path, type, "the embeddings"));
  ATTENTION_RETURN_IF_ERROR(CheckRank(weight, weight_path, 2));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(weight, weight_path, 0, input_width, whose_width));
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(weight_path, 1), weight.shape[1], 1, kMaxWidth));
  LinearMap map;
  map.input_width = input_width;
  map.output_width = weight.shape[1];
  map.weight = weight.data;
  if (projection.has_bias()) {
    const std::string bias_path = absl::StrCat(path, ".bias");
    ATTENTION_ASSIGN_OR_RETURN(const WireTensor bias, reader.Read(projection.bias(), bias_path));
    ATTENTION_RETURN_IF_ERROR(CheckSameType(bias, bias_path, type, "the embeddings"));
    ATTENTION_RETURN_IF_ERROR(CheckRank(bias, bias_path, 1));
    ATTENTION_RETURN_IF_ERROR(
        CheckExtent(bias, bias_path, 0, map.output_width, ShapePath(weight_path, 1)));
    map.bias = bias.data;
  }
  return map;
}

// The layer's map, which must fit the embeddings.
absl::StatusOr<LinearMap> LayerMap(const OperandFields& fields, absl::string_view width_path) {
  const LinearMap& map = **fields.layer_map;
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(width_path, fields.embeddings.width, map.input_width, "the layer"));
  return map;
}

absl::StatusOr<Heads> ReadHeads(const OperandFields& fields, TensorReader& reader) {
  const Embeddings& embeddings = fields.embeddings;
  const int64_t rows = embeddings.rows;
  Heads heads;
  std::optional<LinearMap>& map = heads.source.projection;
  heads.width_path = ShapePath(embeddings.path, embeddings.tensor.rank - 1);
  if (fields.projection != nullptr) {
    const std::string path = absl::StrCat("projections.", fields.role);
    ATTENTION_ASSIGN_OR_RETURN(map, ReadLinearMap(*fields.projection, path, embeddings.tensor.type,
                                                  embeddings.width, heads.width_path, reader));
    heads.width_path = absl::StrCat(path, ".weight.shape[1]");
  } else if (fields.layer_map != nullptr && fields.layer_map->has_value()) {
    ATTENTION_ASSIGN_OR_RETURN(map, LayerMap(fields, heads.width_path));
    heads.width_path = absl::StrCat("layer.", fields.role);
  }
  if (map.has_value()) heads.source.embeddings = embeddings.tensor.data;
  const int64_t packed_width = map.has_value() ? map->output_width : embeddings.width;
  ATTENTION_ASSIGN_OR_RETURN(
      const int64_t head_width,
      SplitWidth(packed_width, heads.width_path, fields.head_count, fields.head_count_path));
  kernels::TensorView& view = heads.source.view;
  view.data = map.has_value() ? nullptr : embeddings.tensor.data;
  view.type = *KernelType(embeddings.tensor.type);
  view.extents = {embeddings.batch, fields.head_count, rows, head_width};
  view.strides = PackedStrides(view.extents);
  return heads;
}

absl::Status AppendRow(const void* row, absl::string_view rows_path, Heads& heads) {
  int64_t& row_count = heads.source.view.extents[2];
  ATTENTION_RETURN_IF_ERROR(CheckRange(rows_path, row_count, 0, kMaxSequence - 1));
  heads.source.appended = row;
  ++row_count;
  return absl::OkStatus();
}

absl::Status ReadAppended(const v1::Tensor& tensor, absl::string_view path,
                          absl::string_view rows_path, Heads& heads, TensorReader& reader) {
  const kernels::TensorView& view = heads.source.view;
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor row, reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(CheckSameType(row, path, WireType(view.type), "the embeddings"));
  ATTENTION_RETURN_IF_ERROR(CheckRank(row, path, 1));
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(row, path, 0, view.extents[1] * view.extents[3], heads.width_path));
  return AppendRow(row.data, rows_path, heads);
}

// One more key and value, of the request or of the layer.
absl::Status DecodeAppended(const EmbeddingRequest& request, const Layer* layer, Heads& key,
                            Heads& value, TensorReader& reader) {
  const std::string key_rows = ShapePath(request.key.path, request.key.tensor.rank - 2);
  const std::string value_rows = ShapePath(request.value.path, request.value.tensor.rank - 2);
  if (layer != nullptr) {
    if (layer->contents().appended_key == nullptr) return absl::OkStatus();
    ATTENTION_RETURN_IF_ERROR(AppendRow(layer->contents().appended_key, key_rows, key));
    return AppendRow(layer->contents().appended_value, value_rows, value);
  }
  if (request.projections == nullptr) return absl::OkStatus();
  constexpr absl::string_view kKeyPath = "projections.appended_key";
  constexpr absl::string_view kValuePath = "projections.appended_value";
  const v1::Projections& fields = *request.projections;
  if (!fields.has_appended_key() && !fields.has_appended_value()) return absl::OkStatus();
  if (!fields.has_appended_key()) return MissingField(kKeyPath);
  if (!fields.has_appended_value()) return MissingField(kValuePath);
  ATTENTION_RETURN_IF_ERROR(ReadAppended(fields.appended_key(), kKeyPath, key_rows, key, reader));
  return ReadAppended(fields.appended_value(), kValuePath, value_rows, value, reader);
}

absl::Status CheckTogether(const EmbeddingRequest& request) {
  const Embeddings& query = request.query;
  const Embeddings& key = request.key;
  const Embeddings& value = request.value;
  const OperandShape query_shape = {query.path, query.tensor, query.batch};
  ATTENTION_RETURN_IF_ERROR(CheckLikeQuery({key.path, key.tensor, key.batch}, query_shape));
  ATTENTION_RETURN_IF_ERROR(CheckLikeQuery({value.path, value.tensor, value.batch}, query_shape));
  return CheckSame(ShapePath(value.path, value.tensor.rank - 2), value.rows, key.rows, key.path);
}

// [batch?, rows, width] or [batch?, heads, rows, width]
std::vector<int64_t> WithBatch(const Embeddings& query, std::vector<int64_t> shape) {
  if (query.has_batch) shape.insert(shape.begin(), query.batch);
  return shape;
}

absl::StatusOr<std::optional<LinearMap>> ReadOutputMap(const EmbeddingRequest& request,
                                                       const AttentionTask& task,
                                                       int64_t heads_width, TensorReader& reader) {
  constexpr absl::string_view kHeadsWidth = "heads * value width";
  if (task.layer != nullptr) {
    const std::optional<LinearMap>& map = task.layer->contents().output;
    if (map.has_value()) {
      ATTENTION_RETURN_IF_ERROR(
          CheckSame("layer.output", map->input_width, heads_width, kHeadsWidth));
    }
    return map;
  }
  if (request.projections == nullptr || !request.projections->has_output()) return std::nullopt;
  return ReadLinearMap(request.projections->output(), "projections.output", WireType(task.type),
                       heads_width, kHeadsWidth, reader);
}

absl::Status DecodeOutput(const EmbeddingRequest& request, int64_t heads_width,
                          TensorReader& reader, DecodedRequest& decoded) {
  AttentionTask& task = decoded.task;
  task.output_layout = OutputLayout::kSequenceFirst;
  ATTENTION_ASSIGN_OR_RETURN(task.output_projection,
                             ReadOutputMap(request, task, heads_width, reader));
  const int64_t output_width =
      task.output_projection.has_value() ? task.output_projection->output_width : heads_width;
  decoded.response_form.output_shape = WithBatch(request.query, {request.query.rows, output_width});
  decoded.response_form.matrix_shape = WithBatch(
      request.query, {task.query.view.extents[1], request.query.rows, task.key.view.extents[2]});
  return absl::OkStatus();
}

// The layer that the request names, or null.
absl::StatusOr<std::shared_ptr<const Layer>> ReadLayer(const EmbeddingRequest& request) {
  if (request.layer.empty()) return std::shared_ptr<const Layer>();
  ATTENTION_ASSIGN_OR_RETURN(std::shared_ptr<const Layer> layer,
                             FindLayer(request.layer, "layer", request.layers));
  if (request.projections != nullptr) {
    return FieldError("projections", "projections beside a layer", "one of them");
  }
  ATTENTION_RETURN_IF_ERROR(CheckSameType(request.query.tensor, request.query.path,
                                          WireType(layer->contents().type),
                                          absl::StrCat("the layer '", request.layer, "'")));
  return layer;
}

absl::StatusOr<HeadCounts> ReadHeadCounts(const EmbeddingRequest& request, const Layer* layer) {
  if (layer == nullptr) {
    return ResolveHeadCounts(request.head_count, request.key_value_head_count);
  }
  const LayerContents& contents = layer->contents();
  const auto check = [&](absl::string_view field, int32_t got, int64_t want) {
    if (got == 0 || got == want) return absl::OkStatus();
    return FieldError(field, got, absl::StrCat("0 or the layer's ", want));
  };
  ATTENTION_RETURN_IF_ERROR(check("head_count", request.head_count, contents.head_count));
  ATTENTION_RETURN_IF_ERROR(
      check("key_value_head_count", request.key_value_head_count, contents.key_value_head_count));
  return HeadCounts{.query = contents.head_count,
                    .key_value = contents.key_value_head_count,
                    .key_value_path = "key_value_head_count of the layer"};
}

struct Operands {
  Heads query, key, value;
};

absl::StatusOr<Operands> ReadOperands(const EmbeddingRequest& request, const HeadCounts& counts,
                                      const Layer* layer, TensorReader& reader) {
  const v1::Projections* const maps = request.projections;
  const LayerContents* const contents = layer != nullptr ? &layer->contents() : nullptr;
  Operands operands;
  ATTENTION_ASSIGN_OR_RETURN(
      operands.query,
      ReadHeads({.embeddings = request.query,
                 .role = "query",
                 .projection = maps != nullptr && maps->has_query() ? &maps->query() : nullptr,
                 .layer_map = contents != nullptr ? &contents->query : nullptr,
                 .head_count = counts.query,
                 .head_count_path = "head_count"},
                reader));
  ATTENTION_ASSIGN_OR_RETURN(
      operands.key,
      ReadHeads({.embeddings = request.key,
                 .role = "key",
                 .projection = maps != nullptr && maps->has_key() ? &maps->key() : nullptr,
                 .layer_map = contents != nullptr ? &contents->key : nullptr,
                 .head_count = counts.key_value,
                 .head_count_path = counts.key_value_path},
                reader));
  ATTENTION_ASSIGN_OR_RETURN(
      operands.value,
      ReadHeads({.embeddings = request.value,
                 .role = "value",
                 .projection = maps != nullptr && maps->has_value() ? &maps->value() : nullptr,
                 .layer_map = contents != nullptr ? &contents->value : nullptr,
                 .head_count = counts.key_value,
                 .head_count_path = counts.key_value_path},
                reader));
  ATTENTION_RETURN_IF_ERROR(
      CheckHeadWidths({operands.query.head_width(), operands.query.width_path},
                      {operands.key.head_width(), operands.key.width_path}, request.options));
  ATTENTION_RETURN_IF_ERROR(DecodeAppended(request, layer, operands.key, operands.value, reader));
  return operands;
}

}  // namespace

absl::StatusOr<Embeddings> ReadEmbeddings(bool present, const v1::Tensor& tensor,
                                          absl::string_view path, TensorReader& reader) {
  if (!present) return MissingField(path);
  Embeddings result;
  ATTENTION_ASSIGN_OR_RETURN(result.tensor, reader.Read(tensor, path));
  ATTENTION_RETURN_IF_ERROR(CheckOperand(result.tensor, path, 2));
  const int first_axis = result.tensor.rank - 2;
  result.path = path;
  result.has_batch = first_axis == 1;
  result.batch = result.has_batch ? result.tensor.shape[0] : 1;
  result.rows = result.tensor.shape[first_axis];
  result.width = result.tensor.shape[first_axis + 1];
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(path, 0), result.batch, 0, kMaxBatch));
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(path, first_axis), result.rows, 0, kMaxSequence));
  ATTENTION_RETURN_IF_ERROR(
      CheckRange(ShapePath(path, first_axis + 1), result.width, 1, kMaxWidth));
  return result;
}

absl::Status DecodeEmbeddingRequest(const EmbeddingRequest& request, TensorReader& reader,
                                    DecodedRequest& decoded) {
  ATTENTION_RETURN_IF_ERROR(CheckTogether(request));
  AttentionTask& task = decoded.task;
  ATTENTION_ASSIGN_OR_RETURN(task.layer, ReadLayer(request));
  ATTENTION_ASSIGN_OR_RETURN(const HeadCounts counts, ReadHeadCounts(request, task.layer.get()));
  ATTENTION_ASSIGN_OR_RETURN(const Operands operands,
                             ReadOperands(request, counts, task.layer.get(), reader));
  task.type = operands.query.source.view.type;
  task.query = operands.query.source;
  task.key = operands.key.source;
  task.value = operands.value.source;
  ATTENTION_RETURN_IF_ERROR(
      DecodeOptions({request.options, request.query.has_batch, reader, task}));
  if (task.layer != nullptr) {
    ATTENTION_RETURN_IF_ERROR(ApplyFixedOptions(*task.layer, request.options, task));
  }
  ATTENTION_RETURN_IF_ERROR(
      DecodeOutput(request, counts.query * operands.value.head_width(), reader, decoded));
  decoded.task.sends_floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
