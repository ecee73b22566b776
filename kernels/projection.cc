#include "kernels/projection.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/projection/packed_panels.h"
#include "kernels/projection/panel_projection.h"
#include "kernels/projection/panels.h"
#include "kernels/projection/projection_plan.h"
#include "kernels/within_memory.h"

namespace attention::kernels {
namespace {

absl::Status TooSmall(absl::string_view field, int64_t got, int64_t least) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", want >= ", least));
}

absl::Status CheckMaps(const ProjectionMaps& maps) {
  if (maps.type == DataType::kBool) {
    return absl::InvalidArgumentError("type: got BOOL, want a floating point type");
  }
  if (maps.input_width < 1) return TooSmall("input_width", maps.input_width, 1);
  if (maps.maps.empty()) return absl::InvalidArgumentError("maps: got none, want at least one");
  for (size_t i = 0; i < maps.maps.size(); ++i) {
    const ProjectionMap& map = maps.maps[i];
    if (map.output_width < 1) {
      return TooSmall(absl::StrCat("maps[", i, "].output_width"), map.output_width, 1);
    }
    constexpr int64_t kMostBytesOfANumber = 8;
    if (map.output_width >
        std::numeric_limits<int64_t>::max() / kMostBytesOfANumber / maps.input_width) {
      return absl::InvalidArgumentError(absl::StrCat("maps[", i, "].weight: got ", maps.input_width,
                                                     " by ", map.output_width,
                                                     " numbers, want fewer than 2^63 bytes"));
    }
    if (map.weight == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("maps[", i, "].weight: got null"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRows(int64_t input_width, std::span<const ProjectionMap> widths,
                       const ProjectionRows& rows) {
  if (rows.row_count < 0) return TooSmall("row_count", rows.row_count, 0);
  if (rows.outputs.size() != widths.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("outputs: got ", rows.outputs.size(), ", want ", widths.size()));
  }
  if (rows.row_count == 0) return absl::OkStatus();
  if (rows.input == nullptr) return absl::InvalidArgumentError("input: got null");
  if (rows.input_stride < input_width) {
    return TooSmall("input_stride", rows.input_stride, input_width);
  }
  for (size_t i = 0; i < widths.size(); ++i) {
    if (rows.outputs[i].data == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("outputs[", i, "].data: got null"));
    }
    if (rows.outputs[i].row_stride < widths[i].output_width) {
      return TooSmall(absl::StrCat("outputs[", i, "].row_stride"), rows.outputs[i].row_stride,
                      widths[i].output_width);
    }
  }
  return absl::OkStatus();
}

// One row by one map in float64; the weight is read along its rows.
void ProjectRowFloat64(int64_t input_width, const ProjectionMap& map, const double* input,
                       double* output) {
  const auto* weight = static_cast<const double*>(map.weight);
  if (map.bias != nullptr) {
    std::copy_n(static_cast<const double*>(map.bias), map.output_width, output);
  } else {
    std::fill_n(output, map.output_width, 0.0);
  }
  for (int64_t k = 0; k < input_width; ++k) {
    for (int64_t column = 0; column < map.output_width; ++column) {
      output[column] += input[k] * weight[k * map.output_width + column];
    }
  }
}

absl::StatusOr<ProjectionReport> ProjectFloat64(int64_t input_width,
                                                std::span<const ProjectionMap> maps,
                                                const ProjectionRows& rows,
                                                const Execution& execution) {
  ProjectionReport report = {.precision = "f64"};
  report.thread_count = RunItems(execution, rows.row_count, [&](int64_t row) {
    const double* input = static_cast<const double*>(rows.input) + row * rows.input_stride;
    for (size_t i = 0; i < maps.size(); ++i) {
      const ProjectedRows& output = rows.outputs[i];
      ProjectRowFloat64(input_width, maps[i], input,
                        static_cast<double*>(output.data) + row * output.row_stride);
    }
  });
  if (StopRequested(execution)) return absl::CancelledError("stopped on request");
  return report;
}

// Copies of float64 maps.
class Float64Projection final : public PackedProjection {
 public:
  explicit Float64Projection(const ProjectionMaps& maps) : input_width_(maps.input_width) {
    for (const ProjectionMap& map : maps.maps) {
      const int64_t weight_count = maps.input_width * map.output_width;
      const int64_t bias_count = map.bias != nullptr ? map.output_width : 0;
      AlignedArray<double>& numbers =
          numbers_.emplace_back(static_cast<size_t>(weight_count + bias_count));
      double* bias =
          std::copy_n(static_cast<const double*>(map.weight), weight_count, numbers.data());
      std::copy_n(static_cast<const double*>(map.bias), bias_count, bias);
      maps_.push_back({.output_width = map.output_width,
                       .weight = numbers.data(),
                       .bias = map.bias != nullptr ? bias : nullptr});
    }
  }

  absl::StatusOr<ProjectionReport> Apply(const ProjectionRows& rows,
                                         const Execution& execution) const override {
    if (absl::Status status = CheckRows(input_width_, maps_, rows); !status.ok()) return status;
    return ProjectFloat64(input_width_, maps_, rows, execution);
  }

 private:
  const int64_t input_width_;
  std::vector<AlignedArray<double>> numbers_;
  std::vector<ProjectionMap> maps_;
};

// Panels of all other types.
class PanelProjection final : public PackedProjection {
 public:
  PanelProjection(const ProjectionPlan& plan, const ProjectionMaps& maps,
                  const Execution& execution)
      : plan_(plan), panels_(plan, maps.maps, execution) {
    for (const ProjectionMap& map : maps.maps) {
      widths_.push_back({.output_width = map.output_width});
    }
  }

  absl::StatusOr<ProjectionReport> Apply(const ProjectionRows& rows,
                                         const Execution& execution) const override {
    absl::Status status = CheckRows(plan_.input_width, widths_, rows);
    if (!status.ok()) return status;
    return ProjectPanels(plan_, widths_, panels_, rows, execution);
  }

 private:
  const ProjectionPlan plan_;
  const PackedPanels panels_;
  std::vector<ProjectionMap> widths_;
};

}  // namespace

absl::StatusOr<ProjectionReport> Project(const ProjectionMaps& maps, const ProjectionRows& rows,
                                         const Execution& execution) {
  absl::Status status = CheckMaps(maps);
  if (status.ok()) status = CheckRows(maps.input_width, maps.maps, rows);
  if (!status.ok()) return status;
  return WithinMemory("a projection", [&]() -> absl::StatusOr<ProjectionReport> {
    const ProjectionPlan plan = MakeProjectionPlan(maps.type, maps.precision, maps.input_width);
    if (plan.type == DataType::kF64) {
      return ProjectFloat64(maps.input_width, maps.maps, rows, execution);
    }
    return ProjectPanels(plan, maps.maps, FreshPanels(plan, maps.maps), rows, execution);
  });
}

absl::StatusOr<std::unique_ptr<const PackedProjection>> PackedProjection::Pack(
    const ProjectionMaps& maps, const Execution& execution) {
  if (absl::Status status = CheckMaps(maps); !status.ok()) return status;
  using Packed = std::unique_ptr<const PackedProjection>;
  return WithinMemory("packed weights", [&]() -> absl::StatusOr<Packed> {
    const ProjectionPlan plan = MakeProjectionPlan(maps.type, maps.precision, maps.input_width);
    Packed packed;
    if (plan.type == DataType::kF64) {
      packed = std::make_unique<const Float64Projection>(maps);
    } else {
      packed = std::make_unique<const PanelProjection>(plan, maps, execution);
    }
    if (StopRequested(execution)) return absl::CancelledError("stopped on request");
    return packed;
  });
}

int64_t PackedProjection::PackedBytes(const ProjectionMaps& maps) {
  // Of what a probe may choose, the larger.
  const Precision precision =
      maps.precision == Precision::kF32GradeFastest ? Precision::kBF16X6 : maps.precision;
  const ProjectionPlan plan = MakeProjectionPlan(maps.type, precision, maps.input_width);
  return PackedPanels::ByteCount(plan, maps.maps);
}

}  // namespace attention::kernels
