#include "server/codec/merge_decoder.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/codec/ready_operand.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kFirstOutput = "states[0].output";

// That the outputs of two states can be joined.
absl::Status CheckLikeFirst(const Operand& output, const Operand& first) {
  ATTENTION_RETURN_IF_ERROR(
      CheckSameType(output.tensor, output.path, first.tensor.type, kFirstOutput));
  if (output.tensor.rank != first.tensor.rank) {
    return FieldError(absl::StrCat(output.path, ".shape"),
                      absl::StrCat("rank ", output.tensor.rank),
                      absl::StrCat(first.tensor.rank, " as in ", kFirstOutput));
  }
  for (int axis = 0; axis < first.tensor.rank; ++axis) {
    const auto index = static_cast<size_t>(axis);
    ATTENTION_RETURN_IF_ERROR(
        CheckExtent(output.tensor, output.path, axis, first.tensor.shape[index], kFirstOutput));
  }
  return absl::OkStatus();
}

absl::StatusOr<kernels::TensorView> ReadLogSumExp(const v1::Tensor& tensor, absl::string_view path,
                                                  const Operand& output, TensorReader& reader) {
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor log_sum_exp, reader.Read(tensor, path));
  const bool f64 = output.tensor.type == v1::DATA_TYPE_F64;
  const v1::DataType type = f64 ? v1::DATA_TYPE_F64 : v1::DATA_TYPE_F32;
  if (log_sum_exp.type != type) {
    return FieldError(
        absl::StrCat(path, ".data_type"), TypeName(log_sum_exp.type),
        absl::StrCat(TypeName(type), " with an output of ", TypeName(output.tensor.type)));
  }
  const int rank = output.tensor.rank - 1;
  ATTENTION_RETURN_IF_ERROR(CheckRank(log_sum_exp, path, rank));
  for (int axis = 0; axis < rank; ++axis) {
    const auto index = static_cast<size_t>(axis);
    ATTENTION_RETURN_IF_ERROR(
        CheckExtent(log_sum_exp, path, axis, output.tensor.shape[index], output.path));
  }
  return kernels::DenseView(log_sum_exp.data, *KernelType(type),
                            {output.batch(), output.heads(), output.rows(), 1});
}

}  // namespace

absl::Status DecodeMergeRequest(const v1::MergeAttentionStatesRequest& request,
                                TensorReader& reader, DecodedMerge& decoded) {
  if (request.states_size() == 0) return FieldError("states", "nothing", "at least one state");
  ATTENTION_RETURN_IF_ERROR(CheckRange("states", request.states_size(), 1, kMaxStates));
  Operand first;
  for (int i = 0; i < request.states_size(); ++i) {
    const v1::AttentionState& state = request.states(i);
    const std::string output_path = absl::StrCat("states[", i, "].output");
    const std::string log_sum_exp_path = absl::StrCat("states[", i, "].log_sum_exp");
    const OperandField field = {state.has_output(), state.output(), output_path, 0, ""};
    ATTENTION_ASSIGN_OR_RETURN(Operand output, ReadOperand(field, v1::LAYOUT_HEADS_FIRST, reader));
    if (i == 0) {
      first = output;
      first.path = kFirstOutput;
    } else {
      ATTENTION_RETURN_IF_ERROR(CheckLikeFirst(output, first));
    }
    if (!state.has_log_sum_exp()) return MissingField(log_sum_exp_path);
    ATTENTION_ASSIGN_OR_RETURN(
        const kernels::TensorView log_sum_exp,
        ReadLogSumExp(state.log_sum_exp(), log_sum_exp_path, output, reader));
    decoded.task.states.push_back({output.view, log_sum_exp});
  }
  decoded.response_form.output_shape.assign(first.tensor.shape.begin(),
                                            first.tensor.shape.begin() + first.tensor.rank);
  decoded.task.sends_floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
