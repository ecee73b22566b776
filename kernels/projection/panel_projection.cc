#include "kernels/projection/panel_projection.h"

#include <algorithm>
#include <atomic>

#include "kernels/amx/tile_product.h"
#include "kernels/first_error.h"
#include "kernels/projection/matrix_tile_product.h"
#include "kernels/projection/prepared_rows.h"
#include "kernels/within_memory.h"

namespace attention::kernels {
namespace {

// What each thread keeps from one call to the next.
struct ThreadScratch {
  PreparedRows rows;
  PanelScratch panel;
  AlignedArray<float> sums;
};

int64_t NextCall() {
  static std::atomic<int64_t> count = 0;
  return count.fetch_add(1, std::memory_order_relaxed);
}

// The products of a group of rows and a panel, in f32 or as the plan has them.
struct PanelWork {
  const RowGroup& group;
  const PanelPlace& place;
  bool in_f32;
  const uint8_t* only;  // null, or for each row of the group 1 if it is to be stored
  ThreadScratch& scratch;
};

// One call. Its items are groups of rows times ranges of panels, group after group: a thread that
// goes on in a group has its rows prepared.
class Call {
 public:
  Call(const ProjectionPlan& plan, std::span<const ProjectionMap> widths, const Panels& panels,
       const ProjectionRows& rows, const Execution& execution);

  absl::StatusOr<ProjectionReport> Run();

 private:
  void RunItem(int64_t item);
  absl::Status RunPanels(const RowGroup& group, int64_t first_panel, int64_t end_panel);
  absl::Status RunPanel(const RowGroup& group, const PanelPlace& place, ThreadScratch& scratch);
  absl::Status RunTiles(const PanelWork& work);
  absl::Status Multiply(const PanelWork& work, int64_t first_row, int64_t slab, const void* panel,
                        float* sums);
  void Store(const PanelWork& work, int64_t first_row, const float* sums, const float* bias) const;
  void StoreRows(const PanelWork& work, int64_t first_row, int64_t row_count, const float* sums,
                 const float* bias) const;

  const ProjectionPlan& plan_;
  const std::span<const ProjectionMap> widths_;
  const Panels& panels_;
  const ProjectionRows& rows_;
  const Execution& execution_;
  const int64_t call_ = NextCall();
  const int64_t panel_count_;
  const int64_t group_rows_;
  int64_t range_count_ = 1;
  FirstError error_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int64_t> f32_results_ = 0;  // of plans that split
  std::atomic<int64_t> split_results_ = 0;
};

Call::Call(const ProjectionPlan& plan, std::span<const ProjectionMap> widths, const Panels& panels,
           const ProjectionRows& rows, const Execution& execution)
    : plan_(plan),
      widths_(widths),
      panels_(panels),
      rows_(rows),
      execution_(execution),
      panel_count_(PanelCount(widths)),
      group_rows_(plan.GroupRows()) {}

absl::StatusOr<ProjectionReport> Call::Run() {
  // Several items for each thread, as threads are not equally fast; but none that takes less time
  // than to hand it over. No bit depends on it.
  constexpr int64_t kItemsPerThread = 8;
  constexpr double kLeastProductsPerItem = 1 << 20;
  const int64_t group_count = DivideUp(rows_.row_count, group_rows_);
  const int thread_count = ThreadCount(execution_);
  if (thread_count > 1 && group_count > 0) {
    const double panel_products = static_cast<double>(std::min(rows_.row_count, group_rows_)) *
                                  static_cast<double>(kPanelColumns * plan_.input_width);
    const double worthwhile =
        static_cast<double>(panel_count_) * panel_products / kLeastProductsPerItem;
    const int64_t wanted = DivideUp(kItemsPerThread * thread_count, group_count);
    const auto most =
        static_cast<int64_t>(std::clamp(worthwhile, 1.0, static_cast<double>(panel_count_)));
    range_count_ = std::min(wanted, most);
  }
  ProjectionReport report;
  report.thread_count =
      RunItems(execution_, group_count * range_count_, [this](int64_t item) { RunItem(item); });
  if (absl::Status status = error_.Get(); !status.ok()) return status;
  if (stopped_ || StopRequested(execution_)) return absl::CancelledError("stopped on request");
  report.precision = (f32_results_ > split_results_ ? kF32Products : *plan_.products).name;
  return report;
}

void Call::RunItem(int64_t item) {
  const int64_t range = item % range_count_;
  RowGroup group;
  group.call = call_;
  group.first_row = item / range_count_ * group_rows_;
  group.row_count = std::min(group_rows_, rows_.row_count - group.first_row);
  group.row_stride = rows_.input_stride;
  group.data =
      static_cast<const std::byte*>(rows_.input) +
      group.first_row * rows_.input_stride * static_cast<int64_t>(ElementBytes(plan_.type));
  error_.Update(RunPanels(group, range * panel_count_ / range_count_,
                          (range + 1) * panel_count_ / range_count_));
}

absl::Status Call::RunPanels(const RowGroup& group, int64_t first_panel, int64_t end_panel) {
  thread_local ThreadScratch scratch;
  const TileRegisterScope tile_registers(plan_.tile_registers);
  for (int64_t panel = first_panel; panel < end_panel; ++panel) {
    if (StopRequested(execution_)) {
      stopped_ = true;
      return absl::OkStatus();
    }
    const absl::Status status = RunPanel(group, PlaceOfPanel(widths_, panel), scratch);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Call::RunPanel(const RowGroup& group, const PanelPlace& place,
                            ThreadScratch& scratch) {
  const bool in_f32 = !plan_.products->bf16 || panels_.IsUnsplittable(place, scratch.panel);
  const absl::Status status = RunTiles({group, place, in_f32, nullptr, scratch});
  if (!status.ok() || !plan_.splits()) return status;
  const uint8_t* unsplittable = in_f32 ? nullptr : scratch.rows.Unsplittable(plan_, group);
  int64_t f32_rows = in_f32 ? group.row_count : 0;
  if (unsplittable != nullptr) {
    f32_rows = std::count(unsplittable, unsplittable + group.row_count, uint8_t{1});
  }
  f32_results_ += f32_rows * place.column_count;
  split_results_ += (group.row_count - f32_rows) * place.column_count;
  if (unsplittable == nullptr) return status;
  return RunTiles({group, place, true, unsplittable, scratch});
}

absl::Status Call::RunTiles(const PanelWork& work) {
  const auto& [group, place, in_f32, only, scratch] = work;
  const int64_t slab_count = plan_.slab_count();
  // With one slab a tile's sums are stored while they are in the first-level cache.
  const int64_t sums_stride = slab_count == 1 ? 0 : place.packed_count();
  scratch.sums.Reserve(
      static_cast<size_t>((slab_count == 1 ? kProjectionTileRows : group_rows_) * kPanelColumns));
  const float* bias = panels_.Bias(place, scratch.panel);
  for (int64_t slab = 0; slab < slab_count; ++slab) {
    const void* panel = in_f32 ? panels_.F32Slab(place, slab, scratch.panel)
                               : panels_.Slab(place, slab, scratch.panel);
    for (int64_t first = 0; first < group.row_count; first += kProjectionTileRows) {
      const int64_t end = std::min(first + kProjectionTileRows, group.row_count);
      if (only != nullptr && std::count(only + first, only + end, uint8_t{1}) == 0) continue;
      float* sums = scratch.sums.data() + first * sums_stride;
      if (absl::Status status = Multiply(work, first, slab, panel, sums); !status.ok()) {
        return status;
      }
      if (slab + 1 == slab_count) Store(work, first, sums, bias);
    }
  }
  return absl::OkStatus();
}

absl::Status Call::Multiply(const PanelWork& work, int64_t first_row, int64_t slab,
                            const void* panel, float* sums) {
  const RowGroup& group = work.group;
  const int64_t row_count = std::min(kProjectionTileRows, group.row_count - first_row);
  const int64_t inner_count = plan_.slab_rows(slab);
  const int64_t columns = work.place.packed_count();
  if (work.in_f32) {
    const F32Rows rows = work.scratch.rows.AsF32(plan_, group, slab);
    return MultiplyTile(
        {.type = MatrixType::kF32,
         .rows = reinterpret_cast<const std::byte*>(rows.data + first_row * rows.stride),
         .row_stride = rows.stride,
         .row_count = row_count,
         .panel = static_cast<const std::byte*>(panel),
         .column_count = columns,
         .inner_count = inner_count,
         .accumulate = slab > 0,
         .sums = sums});
  }
  const uint16_t* rows = work.scratch.rows.AsBF16(plan_, group, slab);
  const int64_t padded_count = RoundUp(inner_count, kBlockRows);
  if (!plan_.tile_registers) {
    return MultiplyTile(
        {.type = MatrixType::kBF16,
         .rows = reinterpret_cast<const std::byte*>(rows + first_row * padded_count),
         .row_stride = padded_count,
         .row_count = row_count,
         .panel = static_cast<const std::byte*>(panel),
         .column_count = columns,
         .inner_count = padded_count,
         .accumulate = slab > 0,
         .sums = sums});
  }
  const int64_t row_parts = RoundUp(row_count, kTileRegisterRows) * kBlockRows;
  kernels::Multiply({.product_count = plan_.products->product_count,
                     .rows = {.data = rows + first_row * plan_.part_count() * padded_count,
                              .row_stride = kBlockRows,
                              .block_stride = plan_.part_count() * row_parts,
                              .part_stride = row_parts},
                     .panel = {.data = static_cast<const uint16_t*>(panel),
                               .row_stride = 2 * columns,
                               .block_stride = plan_.part_count() * columns * kBlockRows,
                               .part_stride = columns * kBlockRows},
                     .row_count = RoundUp(row_count, kTileRegisterRows),
                     .column_count = columns,
                     .block_count = padded_count / kBlockRows,
                     .accumulate = slab > 0,
                     .sums = sums,
                     .sums_stride = columns});
  return absl::OkStatus();
}

void Call::Store(const PanelWork& work, int64_t first_row, const float* sums,
                 const float* bias) const {
  const int64_t end = std::min(first_row + kProjectionTileRows, work.group.row_count);
  if (work.only == nullptr) return StoreRows(work, first_row, end - first_row, sums, bias);
  for (int64_t row = first_row; row < end; ++row) {
    if (work.only[row] != 0) StoreRows(work, row, 1, sums, bias);
    sums += work.place.packed_count();
  }
}

void Call::StoreRows(const PanelWork& work, int64_t first_row, int64_t row_count, const float* sums,
                     const float* bias) const {
  const PanelPlace& place = work.place;
  const ProjectedRows& output = rows_.outputs[static_cast<size_t>(place.map)];
  const int64_t row = work.group.first_row + first_row;
  const auto element_bytes = static_cast<int64_t>(ElementBytes(plan_.type));
  StoreBiasedRows({.sums = sums,
                   .sum_stride = place.packed_count(),
                   .bias = bias,
                   .row_count = row_count,
                   .column_count = place.column_count,
                   .type = plan_.type,
                   .destination = static_cast<std::byte*>(output.data) +
                                  (row * output.row_stride + place.first_column) * element_bytes,
                   .destination_stride_bytes = output.row_stride * element_bytes});
}

}  // namespace

absl::StatusOr<ProjectionReport> ProjectPanels(const ProjectionPlan& plan,
                                               std::span<const ProjectionMap> widths,
                                               const Panels& panels, const ProjectionRows& rows,
                                               const Execution& execution) {
  return WithinMemory("the tiles of a projection",
                      [&] { return Call(plan, widths, panels, rows, execution).Run(); });
}

}  // namespace attention::kernels
