// A projection by products of row tiles and weight panels.

#ifndef ATTENTION_KERNELS_PROJECTION_PANEL_PROJECTION_H_
#define ATTENTION_KERNELS_PROJECTION_PANEL_PROJECTION_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/projection.h"
#include "kernels/projection/panels.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {

// `widths` are the maps whose panels these are; of the maps only output_width is looked at. Expects
// checked arguments; not for F64. Errors as for Project.
[[nodiscard]] absl::StatusOr<ProjectionReport> ProjectPanels(const ProjectionPlan& plan,
                                                             std::span<const ProjectionMap> widths,
                                                             const Panels& panels,
                                                             const ProjectionRows& rows,
                                                             const Execution& execution);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_PANEL_PROJECTION_H_
