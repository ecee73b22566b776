#include "kernels/fused/packed_head.h"

#include "gtest/gtest.h"
#include "kernels/attend.h"
#include "kernels/fused/head_schedule.h"
#include "kernels/fused/tile_plan.h"
#include "kernels/products.h"

namespace attention::kernels {
namespace {

struct Kind {
  DataType type;
  Precision precision;
  const Products* products;
};
constexpr Kind kKinds[] = {{DataType::kF32, Precision::kF32, &kF32Products},
                           {DataType::kF16, Precision::kF32, &kF32Products},
                           {DataType::kBF16, Precision::kF32, &kBF16Products},
                           {DataType::kBF16, Precision::kF32, &kF32Products},
                           {DataType::kF32, Precision::kBF16, &kBF16Products},
                           {DataType::kF32, Precision::kBF16X3, &kBF16X3Products},
                           {DataType::kF32, Precision::kBF16X6, &kBF16X6Products},
                           {DataType::kF32, Precision::kBF16X6, &kF32Products}};

TEST(PackedHeadTest, TakesNoMoreMemoryThanTheEstimate) {
  for (const Kind& kind : kKinds) {
    for (const int64_t keys : {1, 15, 31, 33, 64, 65, 127, 129, 257, 511, 513, 1000, 100'000}) {
      for (const int64_t width : {1, 16, 31, 33, 64, 65, 129}) {
        AttentionProblem problem;
        problem.query = {nullptr, kind.type, {3, 4, 100, width}, {}};
        problem.key = {nullptr, kind.type, {3, 2, keys, width}, {}};
        problem.value = {nullptr, kind.type, {3, 2, keys, 130 - width}, {}};
        AttentionOptions options;
        options.precision = kind.precision;
        const TilePlan plan = PlanTiles(problem, *kind.products, /*thread_count=*/1);
        PackedHead head;
        head.Begin(problem, plan, 0, 0, keys, {});
        for (const int thread_count : {1, 2, 16}) {
          EXPECT_LE(MostPackedHeads(problem, thread_count) * static_cast<double>(head.room_bytes()),
                    EstimatePackedBytes(problem, options, {}, thread_count))
              << keys << " keys of width " << width << " in " << kind.products->name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace attention::kernels
