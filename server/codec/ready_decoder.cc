#include "server/codec/ready_decoder.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/operand_checks.h"
#include "server/codec/options_codec.h"
#include "server/codec/past_codec.h"
#include "server/codec/ragged_codec.h"
#include "server/codec/ready_operand.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

ResponseForm FormOf(const Operand& query, const AttentionTask& task, v1::Layout layout) {
  const kernels::Extents& key = task.key.view.extents;
  const kernels::Extents& value = task.value.view.extents;
  const int64_t rows = query.rows();
  const int64_t width = value[3];
  ResponseForm form;
  if (layout == v1::LAYOUT_PACKED) {
    form.output_shape = {rows, query.heads() * width};
  } else if (layout == v1::LAYOUT_SEQUENCE_FIRST) {
    form.output_shape = {rows, query.heads(), width};
  } else {
    form.output_shape = {query.heads(), rows, width};
  }
  form.matrix_shape = {query.heads(), rows, key[2]};
  form.present_key_shape = {key[1], key[2], key[3]};
  form.present_value_shape = {value[1], value[2], value[3]};
  if (query.has_batch) {
    for (std::vector<int64_t>* shape : {&form.output_shape, &form.matrix_shape,
                                        &form.present_key_shape, &form.present_value_shape}) {
      shape->insert(shape->begin(), query.batch());
    }
  }
  return form;
}

}  // namespace

absl::Status DecodeReadyRequest(const v1::ScaledDotProductAttentionRequest& request,
                                TensorReader& reader, DecodedRequest& decoded,
                                StreamDecoding* stream) {
  if (stream != nullptr) ATTENTION_RETURN_IF_ERROR(CheckStreamed(request));
  const v1::Layout layout = request.layout();
  if (!v1::Layout_IsValid(layout)) {
    return UnknownEnumerator("layout", layout, v1::Layout_MAX);
  }
  ATTENTION_RETURN_IF_ERROR(CheckRaggedLayout(request));
  const bool packed = layout == v1::LAYOUT_PACKED;
  HeadCounts counts;
  if (packed) {
    if (request.head_count() == 0) return FieldError("head_count", 0, "> 0 with LAYOUT_PACKED");
    ATTENTION_ASSIGN_OR_RETURN(
        counts, ResolveHeadCounts(request.head_count(), request.key_value_head_count()));
  }
  ATTENTION_ASSIGN_OR_RETURN(const Operand query, ReadOperand({request.has_query(), request.query(),
                                                               "query", counts.query, "head_count"},
                                                              layout, reader));
  ATTENTION_ASSIGN_OR_RETURN(const Operand key,
                             ReadOperand({request.has_key(), request.key(), "key", counts.key_value,
                                          counts.key_value_path},
                                         layout, reader));
  ATTENTION_ASSIGN_OR_RETURN(const Operand value,
                             ReadOperand({request.has_value(), request.value(), "value",
                                          counts.key_value, counts.key_value_path},
                                         layout, reader));
  ATTENTION_RETURN_IF_ERROR(CheckTogether(query, key, value));
  if (!packed) {
    ATTENTION_RETURN_IF_ERROR(CheckStatedCount("head_count", request.head_count(), query.heads()));
    ATTENTION_RETURN_IF_ERROR(
        CheckStatedCount("key_value_head_count", request.key_value_head_count(), key.heads()));
  }
  ATTENTION_RETURN_IF_ERROR(CheckHeadWidths({query.head_width(), query.width_path},
                                            {key.head_width(), key.width_path}, request.options()));

  AttentionTask& task = decoded.task;
  task.type = query.view.type;
  task.query.view = query.view;
  ATTENTION_RETURN_IF_ERROR(DecodeRagged(request, query, key, reader, task));
  ATTENTION_RETURN_IF_ERROR(stream == nullptr
                                ? DecodePast(request, key, value, reader, task)
                                : DecodeStreamed(request, key, value, reader, *stream, task));
  const bool heads_first = layout == v1::LAYOUT_UNSPECIFIED || layout == v1::LAYOUT_HEADS_FIRST;
  task.output_layout = heads_first ? OutputLayout::kHeadsFirst : OutputLayout::kSequenceFirst;
  ATTENTION_RETURN_IF_ERROR(DecodeOptions({request.options(), query.has_batch, reader, task}));
  decoded.response_form = FormOf(query, task, layout);
  decoded.task.sends_floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
