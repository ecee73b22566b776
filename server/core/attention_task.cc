#include "server/core/attention_task.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/result_arrays.h"
#include "server/core/saturating.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

using kernels::Extents;

kernels::TensorView OperandOf(const HeadsSource& source, kernels::DataType type) {
  kernels::TensorView view = source.view;
  view.type = type;
  if (!source.ready()) {
    view.data = nullptr;
    view.strides = {};
  }
  return view;
}

absl::Status Invalid(absl::string_view field, int64_t got, int64_t want, absl::string_view whose) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", want ", want, whose));
}

// Strides are products of some extents: they must not overflow even where an empty axis makes the
// product of all extents 0.
absl::Status ValidateExtents(absl::string_view name, const Extents& extents) {
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    if (extents[axis] < 0) {
      return Invalid(absl::StrCat(name, ".extents[", axis, "]"), extents[axis], 0, " or more");
    }
  }
  const auto counted = [&extents](size_t axis) { return std::max<int64_t>(extents[axis], 1); };
  constexpr int64_t kMostElementBytes = 8;
  const int64_t bytes =
      SaturatingProduct({counted(0), counted(1), counted(2), counted(3), kMostElementBytes});
  if (bytes < std::numeric_limits<int64_t>::max()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, ".extents: got [", extents[0], ", ",
                                                 extents[1], ", ", extents[2], ", ", extents[3],
                                                 "], want fewer than 2^63 bytes"));
}

absl::Status ValidateMap(absl::string_view field, const LinearMap& map) {
  if (map.input_width < 1)
    return Invalid(absl::StrCat(field, ".input_width"), map.input_width, 1, " or more");
  if (map.output_width < 1) {
    return Invalid(absl::StrCat(field, ".output_width"), map.output_width, 1, " or more");
  }
  if (map.weight == nullptr)
    return absl::InvalidArgumentError(absl::StrCat(field, ".weight: got null"));
  return absl::OkStatus();
}

absl::Status ValidateJoined(absl::string_view name, const HeadsSource& source,
                            kernels::DataType type) {
  Extents want = source.view.extents;
  want[2] = 0;
  const struct {
    absl::string_view name;
    const kernels::TensorView& view;
  } parts[] = {{".past", source.joined->past}, {".added", source.joined->added}};
  for (const auto& part : parts) {
    const std::string field = absl::StrCat(name, part.name);
    const Extents& got = part.view.extents;
    ATTENTION_RETURN_IF_ERROR(ValidateExtents(field, got));
    for (const size_t axis : {size_t{0}, size_t{1}, size_t{3}}) {
      if (got[axis] == want[axis]) continue;
      return Invalid(absl::StrCat(field, ".extents[", axis, "]"), got[axis], want[axis],
                     absl::StrCat(" as ", name));
    }
    if (part.view.type != type) {
      return absl::InvalidArgumentError(absl::StrCat(field, ".type: got another, want the task's"));
    }
    if (!part.view.present() && SaturatingProduct({got[0], got[1], got[2], got[3]}) > 0) {
      return absl::InvalidArgumentError(absl::StrCat(field, ": got null"));
    }
    want[2] += got[2];
  }
  if (want[2] == source.view.extents[2]) return absl::OkStatus();
  return Invalid(absl::StrCat(name, ".extents[2]"), source.view.extents[2], want[2],
                 " = past and added rows");
}

absl::Status ValidateSource(absl::string_view name, const HeadsSource& source,
                            kernels::DataType type) {
  ATTENTION_RETURN_IF_ERROR(ValidateExtents(name, source.view.extents));
  if (source.joined.has_value()) {
    if (!source.projection.has_value() && source.appended == nullptr) {
      return ValidateJoined(name, source, type);
    }
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".joined: got rows, want no projection and no appended row"));
  }
  if (source.given_row_count() < 0) {
    return Invalid(absl::StrCat(name, ".extents[2]"), source.view.extents[2], 1,
                   " or more with an appended row");
  }
  if (!source.projection.has_value()) return absl::OkStatus();
  const std::string field = absl::StrCat(name, ".projection");
  ATTENTION_RETURN_IF_ERROR(ValidateMap(field, *source.projection));
  const Extents& heads = source.view.extents;
  if (source.projection->output_width != SaturatingProduct({heads[1], heads[3]})) {
    return Invalid(absl::StrCat(field, ".output_width"), source.projection->output_width,
                   SaturatingProduct({heads[1], heads[3]}), " = heads * width");
  }
  if (source.embeddings == nullptr && SaturatingProduct({heads[0], source.given_row_count()}) > 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".embeddings: got null"));
  }
  return absl::OkStatus();
}

absl::Status ValidateOutputProjection(const AttentionTask& task) {
  if (!task.output_projection.has_value()) return absl::OkStatus();
  const absl::string_view field = "output_projection";
  ATTENTION_RETURN_IF_ERROR(ValidateMap(field, *task.output_projection));
  const int64_t packed_width =
      SaturatingProduct({task.query.view.extents[1], task.value.view.extents[3]});
  if (task.output_projection->input_width != packed_width) {
    return Invalid("output_projection.input_width", task.output_projection->input_width,
                   packed_width, " = heads * value width");
  }
  if (task.output_layout != OutputLayout::kSequenceFirst) {
    return absl::InvalidArgumentError(
        "output_layout: got heads first, want sequence first to project");
  }
  return absl::OkStatus();
}

}  // namespace

kernels::AttentionProblem ProblemOf(const AttentionTask& task) {
  kernels::AttentionProblem problem = task.problem;
  problem.query = OperandOf(task.query, task.type);
  problem.key = OperandOf(task.key, task.type);
  problem.value = OperandOf(task.value, task.type);
  return problem;
}

int64_t ProblemCount(const AttentionTask& task) {
  return task.ragged.has_value() ? task.ragged->sequence_count() : 1;
}

kernels::AttentionProblem ProblemOf(const AttentionTask& task, int64_t index) {
  if (!task.ragged.has_value()) return ProblemOf(task);
  return SequenceOf(ProblemOf(task), *task.ragged, index);
}

bool SameProjectedHeads(const HeadsSource& a, const HeadsSource& b) {
  return a.projection.has_value() && b.projection.has_value() && a.embeddings == b.embeddings &&
         a.view.extents == b.view.extents && a.appended == b.appended &&
         a.projection->input_width == b.projection->input_width &&
         a.projection->output_width == b.projection->output_width &&
         a.projection->weight == b.projection->weight && a.projection->bias == b.projection->bias;
}

bool IsRepeated(const AttentionTask& task, const HeadsSource& source) {
  if (&source != &task.query && SameProjectedHeads(source, task.query)) return true;
  return &source == &task.value && SameProjectedHeads(source, task.key);
}

absl::Status Validate(const AttentionTask& task) {
  const Extents& query = task.query.view.extents;
  const Extents score_extents = {query[0], query[1], query[2], task.key.view.extents[2]};
  const Extents output_extents = {query[0], query[1], query[2], task.value.view.extents[3]};
  absl::Status status = ValidateSource("query", task.query, task.type);
  status.Update(ValidateSource("key", task.key, task.type));
  status.Update(ValidateSource("value", task.value, task.type));
  status.Update(ValidateExtents("weights", score_extents));
  status.Update(ValidateExtents("output", output_extents));
  status.Update(ValidateExtents("top_weights",
                                {query[0], query[1], query[2], task.statistics.top_weight_count}));
  status.Update(ValidateOutputProjection(task));
  for (const HeadsSource* source : {&task.key, &task.value}) {
    if (status.ok() && task.return_present && !source->joined.has_value()) {
      status = absl::InvalidArgumentError("return_present: got true, want joined keys and values");
    }
  }
  if (!status.ok()) return status;

  kernels::AttentionProblem problem = ProblemOf(task);
  const auto stand_in = [](const HeadsSource& source, kernels::TensorView& view) {
    if (!source.ready()) view = kernels::DenseView(NotYet(), view.type, view.extents);
  };
  stand_in(task.query, problem.query);
  stand_in(task.key, problem.key);
  stand_in(task.value, problem.value);
  const kernels::AttentionOutputs outputs = WantedOutputs(task);
  return task.ragged.has_value() ? ValidateRagged(problem, *task.ragged, task.options, outputs)
                                 : kernels::Validate(problem, task.options, outputs);
}

}  // namespace attention::server
