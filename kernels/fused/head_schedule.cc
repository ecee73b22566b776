#include "kernels/fused/head_schedule.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "kernels/amx/tile_product.h"
#include "kernels/first_error.h"
#include "kernels/fused/packed_head.h"
#include "kernels/fused/tile_results.h"
#include "kernels/kept.h"
#include "kernels/onednn/matrix_kernel.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

// With fewer heads than this for each thread, threads would wait for the last ones.
constexpr int64_t kHeadsPerThread = 4;

// A helper leaves between items, so with several threads none may be long: some 30 ms in f32.
constexpr double kMaxHeadFlops = 4e9;

// A head that is packed for a second pass of a single tile should still be in a cache by then; of
// larger ones memory is the bottleneck, and packing again is as fast.
constexpr int64_t kMaxBytesForSecondPass = int64_t{10} << 20;

// Whether each head, of at most so many floating point operations, is one thread's.
bool HeadsAreItems(double head_count, double head_flops, int thread_count) {
  if (thread_count == 1) return true;
  return head_count >= static_cast<double>(kHeadsPerThread * thread_count) &&
         head_flops <= kMaxHeadFlops;
}

class HeadSchedule {
 public:
  HeadSchedule(const FusedCall& call, const TilePlan& plan)
      : call_(call),
        plan_(plan),
        batch_count_(call.problem.query.extents[0]),
        head_count_(call.problem.key.extents[1]) {}

  int Run() {
    const absl::Cleanup release = [&] { memory_->ReleaseAbove(kKeptPackedBytes); };
    OrderBatch();
    const auto head_count = static_cast<double>(GroupCount());
    const double head_flops = EstimateFlops(call_.problem) / head_count;
    return HeadsAreItems(head_count, head_flops, ThreadCount(call_.execution)) ? RunHeads()
                                                                               : RunTiles();
  }

  [[nodiscard]] absl::Status error() const { return error_.Get(); }
  [[nodiscard]] int64_t f32_row_count() const { return f32_row_count_; }

 private:
  struct Head {
    int64_t batch;
    int64_t head;  // key-value head
  };

  // Of the calling thread.
  struct Memory {
    std::vector<int64_t> batch_order;
    std::vector<double> pairs;     // that are visible in each batch entry
    std::vector<PackedHead> pool;  // heads that threads share

    void ReleaseAbove(int64_t byte_count) {
      auto bytes = static_cast<int64_t>(batch_order.capacity() * sizeof(int64_t) +
                                        pairs.capacity() * sizeof(double) +
                                        pool.capacity() * sizeof(PackedHead));
      for (const PackedHead& head : pool) bytes += head.room_bytes();
      if (bytes > byte_count) *this = Memory();
    }
  };

  [[nodiscard]] int64_t GroupCount() const { return batch_count_ * head_count_; }

  // The costliest batch entries first.
  void OrderBatch() {
    std::vector<int64_t>& order = memory_->batch_order;
    std::vector<double>& pairs = memory_->pairs;
    order.resize(static_cast<size_t>(batch_count_));
    pairs.resize(static_cast<size_t>(batch_count_));
    std::iota(order.begin(), order.end(), 0);
    for (const int64_t batch : order) {
      pairs[static_cast<size_t>(batch)] = CountVisiblePairs(call_.problem, batch);
    }
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      const double pairs_a = pairs[static_cast<size_t>(a)];
      const double pairs_b = pairs[static_cast<size_t>(b)];
      return pairs_a != pairs_b ? pairs_a > pairs_b : a < b;
    });
  }

  [[nodiscard]] Head HeadAt(int64_t index) const {
    return {memory_->batch_order[static_cast<size_t>(index / head_count_)], index % head_count_};
  }

  // Keys that some query of a batch entry reads: all of them for raw scores, else the visible ones.
  [[nodiscard]] KeyRange ReadKeys(int64_t batch) const {
    if (call_.ScoresHiddenKeys()) return {.begin = 0, .end = call_.problem.key.extents[2]};
    return call_.visibility.Hull(batch);
  }

  [[nodiscard]] bool KeepsBlocks() const {
    if (plan_.tile_count > 1) return true;
    return NeedsSecondPass(call_) && PackedHead::PackedBytes(plan_) <= kMaxBytesForSecondPass;
  }

  int RunHeads() {
    return RunItems(call_.execution, GroupCount(), [&](int64_t item) {
      thread_local PackedHead packed;
      const absl::Cleanup release = [] { packed.ReleaseAbove(kKeptPackedBytes); };
      const Head head = HeadAt(item);
      packed.Begin(call_.problem, plan_, head.batch, head.head, ReadKeys(head.batch).end,
                   {.keeps_blocks = KeepsBlocks()});
      const ProductScope scope(*plan_.products);
      for (int64_t tile = 0; tile < plan_.tile_count; ++tile) {
        if (StopRequested(call_.execution)) break;
        ComputeTile(packed, tile);
      }
    });
  }

  int RunTiles() {
    std::vector<PackedHead>& pool = memory_->pool;
    if (pool.size() < static_cast<size_t>(GroupCount())) {
      pool.resize(static_cast<size_t>(GroupCount()));
    }
    PackedHead* const packed = pool.data();
    for (int64_t group = 0; group < GroupCount(); ++group) {
      const Head head = HeadAt(group);
      packed[group].Begin(call_.problem, plan_, head.batch, head.head, ReadKeys(head.batch).end,
                          {});
    }
    const int64_t blocks = plan_.key_block_count;
    const int packing = RunItems(call_.execution, GroupCount() * blocks, [&](int64_t item) {
      PackedHead& head = packed[item / blocks];
      const int64_t block = item % blocks;
      const KeyRange keys = ReadKeys(head.batch());
      if (block * plan_.key_columns >= keys.end || (block + 1) * plan_.key_columns <= keys.begin) {
        return;
      }
      head.Require(block);
    });
    const int64_t tiles = plan_.tile_count;
    const int computing = RunItems(call_.execution, GroupCount() * tiles, [&](int64_t item) {
      const ProductScope scope(*plan_.products);
      // Last tiles first: with a causal mask they are the largest.
      ComputeTile(packed[item / tiles], tiles - 1 - item % tiles);
    });
    return std::max(packing, computing);
  }

  // What the matrix products of a thread need around them.
  struct ProductScope {
    explicit ProductScope(const Products& products) : tile_registers(products.split()) {}
    MatrixKernelScope matrix_kernels;
    TileRegisterScope tile_registers;
  };

  void ComputeTile(PackedHead& packed, int64_t tile) {
    const int64_t first_row = tile * plan_.tile_rows;
    const int64_t row_count = std::min(plan_.tile_rows, plan_.group_row_count - first_row);
    const absl::StatusOr<int64_t> f32_rows =
        ComputeQueryTile({call_, plan_, packed, first_row, row_count});
    if (!f32_rows.ok()) return error_.Update(f32_rows.status());
    if (*f32_rows > 0) f32_row_count_.fetch_add(*f32_rows, std::memory_order_relaxed);
  }

  const FusedCall& call_;
  const TilePlan& plan_;
  const int64_t batch_count_;
  const int64_t head_count_;
  const Kept<Memory> memory_;
  FirstError error_;
  std::atomic<int64_t> f32_row_count_ = 0;
};

}  // namespace

double MostPackedHeads(const AttentionProblem& problem, int thread_count) {
  const Extents& query = problem.query.extents;
  const Extents& key = problem.key.extents;
  const double head_count = static_cast<double>(key[0]) * static_cast<double>(key[1]);
  const double group_size = static_cast<double>(query[1]) / static_cast<double>(key[1]);
  // What nothing hides: at most as many heads are items as with what masks leave.
  const double head_flops =
      2 * group_size * static_cast<double>(query[2]) * static_cast<double>(key[2]) *
      (static_cast<double>(key[3]) + static_cast<double>(problem.value.extents[3]));
  return HeadsAreItems(head_count, head_flops, thread_count)
             ? std::min(head_count, static_cast<double>(thread_count))
             : head_count;
}

absl::StatusOr<ScheduleOutcome> ComputeHeads(const FusedCall& call, const TilePlan& plan) {
  HeadSchedule schedule(call, plan);
  ScheduleOutcome outcome;
  outcome.thread_count = schedule.Run();
  if (absl::Status status = schedule.error(); !status.ok()) return status;
  outcome.f32_row_count = schedule.f32_row_count();
  return outcome;
}

}  // namespace attention::kernels
