#include "server/codec/embedding_decoder.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/operand_checks.h"
#include "server/codec/options_codec.h"
#include "server/codec/protocol_limits.h"
#include "server/codec/status_macros.h"

namespace attention::server {
namespace {

// The heads of one operand, and the field whose extent decides their width.
struct Heads {
  HeadsSource source;
  std::string width_path;

  [[nodiscard]] int64_t head_width() const { return source.view.extents[3]; }
};

// One operand's embeddings, its projection if it has one, and how many heads it is split into.
struct OperandFields {
  const Embeddings& embeddings;
  const v1::Projection* projection = nullptr;
  absl::string_view projection_path;
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
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(weight_path, 0), weight.shape[0], input_width, whose_width));
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
    ATTENTION_RETURN_IF_ERROR(CheckSame(ShapePath(bias_path, 0), bias.shape[0], map.output_width,
                                        ShapePath(weight_path, 1)));
    map.bias = bias.data;
  }
  return map;
}

absl::StatusOr<Heads> ReadHeads(const OperandFields& fields, TensorReader& reader) {
  const Embeddings& embeddings = fields.embeddings;
  const int64_t rows = embeddings.rows;
  Heads heads;
  heads.width_path = ShapePath(embeddings.path, embeddings.tensor.rank - 1);
  int64_t packed_width = embeddings.width;
  if (fields.projection != nullptr) {
    ATTENTION_ASSIGN_OR_RETURN(
        heads.source.projection,
        ReadLinearMap(*fields.projection, fields.projection_path, embeddings.tensor.type,
                      embeddings.width, heads.width_path, reader));
    heads.source.embeddings = embeddings.tensor.data;
    heads.width_path = absl::StrCat(fields.projection_path, ".weight.shape[1]");
    packed_width = heads.source.projection->output_width;
  }
  ATTENTION_ASSIGN_OR_RETURN(
      const int64_t head_width,
      SplitWidth(packed_width, heads.width_path, fields.head_count, fields.head_count_path));
  kernels::TensorView& view = heads.source.view;
  view.data = fields.projection == nullptr ? embeddings.tensor.data : nullptr;
  view.type = *KernelType(embeddings.tensor.type);
  view.extents = {embeddings.batch, fields.head_count, rows, head_width};
  view.strides = {rows * packed_width, head_width, packed_width, 1};
  return heads;
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

absl::Status DecodeOutput(const EmbeddingRequest& request, int64_t heads_width,
                          TensorReader& reader, DecodedRequest& decoded) {
  AttentionTask& task = decoded.task;
  task.output_layout = OutputLayout::kSequenceFirst;
  int64_t output_width = heads_width;
  if (request.projections.has_output()) {
    ATTENTION_ASSIGN_OR_RETURN(
        task.output_projection,
        ReadLinearMap(request.projections.output(), "projections.output", WireType(task.type),
                      heads_width, "heads * value width", reader));
    output_width = task.output_projection->output_width;
  }
  decoded.response_form.output_shape = WithBatch(request.query, {request.query.rows, output_width});
  decoded.response_form.matrix_shape =
      WithBatch(request.query, {task.query.view.extents[1], request.query.rows, request.key.rows});
  return absl::OkStatus();
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
  ATTENTION_ASSIGN_OR_RETURN(const HeadCounts counts,
                             ResolveHeadCounts(request.head_count, request.key_value_head_count));
  const v1::Projections& maps = request.projections;
  const absl::string_view key_value_path = counts.key_value_path;
  ATTENTION_ASSIGN_OR_RETURN(Heads query,
                             ReadHeads({request.query, maps.has_query() ? &maps.query() : nullptr,
                                        "projections.query", counts.query, "head_count"},
                                       reader));
  ATTENTION_ASSIGN_OR_RETURN(
      Heads key, ReadHeads({request.key, maps.has_key() ? &maps.key() : nullptr, "projections.key",
                            counts.key_value, key_value_path},
                           reader));
  ATTENTION_ASSIGN_OR_RETURN(Heads value,
                             ReadHeads({request.value, maps.has_value() ? &maps.value() : nullptr,
                                        "projections.value", counts.key_value, key_value_path},
                                       reader));
  ATTENTION_RETURN_IF_ERROR(CheckHeadWidths({query.head_width(), query.width_path},
                                            {key.head_width(), key.width_path}, request.options));
  AttentionTask& task = decoded.task;
  task.type = query.source.view.type;
  task.query = query.source;
  task.key = key.source;
  task.value = value.source;
  ATTENTION_RETURN_IF_ERROR(
      DecodeOptions({request.options, request.query.has_batch, reader, task}));
  ATTENTION_RETURN_IF_ERROR(
      DecodeOutput(request, counts.query * value.head_width(), reader, decoded));
  decoded.response_form.floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
