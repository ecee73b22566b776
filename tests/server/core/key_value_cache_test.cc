#include "server/core/key_value_cache.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::TensorView;
using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;

// Consecutive numbers of two batch entries with two heads.
struct Numbers {
  Numbers(int64_t row_count, int64_t width, float first)
      : extents{2, 2, row_count, width},
        elements(static_cast<size_t>(kernels::ElementCount(extents))) {
    std::iota(elements.begin(), elements.end(), first);
  }

  [[nodiscard]] TensorView HeadsFirst() const {
    return kernels::DenseView(elements.data(), DataType::kF32, extents);
  }

  // The same memory with the heads of a row side by side.
  [[nodiscard]] TensorView SequenceFirst() const {
    TensorView view = HeadsFirst();
    view.strides = {extents[2] * 2 * extents[3], extents[3], 2 * extents[3], 1};
    return view;
  }

  Extents extents;
  std::vector<float> elements;
};

std::vector<float> Row(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
  const auto* first = reinterpret_cast<const float*>(RowAddress(view, batch, head, row));
  return {first, first + view.extents[3]};
}

// That rows [first, first + added rows) of `cache` are those of `added`.
void ExpectRows(const TensorView& cache, int64_t first, const TensorView& added) {
  for (int64_t batch = 0; batch < added.extents[0]; ++batch) {
    for (int64_t head = 0; head < added.extents[1]; ++head) {
      for (int64_t row = 0; row < added.extents[2]; ++row) {
        ASSERT_EQ(Row(cache, batch, head, first + row), Row(added, batch, head, row));
      }
    }
  }
}

TEST(KeyValueCacheTest, HasAllRowsThatWereAppendedInTheirOrder) {
  ByteBudget budget(int64_t{1} << 20);
  KeyValueCache cache(budget);
  EXPECT_FALSE(cache.has_begun());
  std::vector<Numbers> keys;
  std::vector<Numbers> values;
  for (const int64_t row_count : {3, 1, 70, 1, 0, 200, 1}) {
    keys.emplace_back(row_count, 5, 1000.0f * static_cast<float>(keys.size()));
    values.emplace_back(row_count, 4, 1000.0f * static_cast<float>(values.size()) + 0.5f);
    const bool heads_first = keys.size() % 2 == 0;
    const TensorView key = heads_first ? keys.back().HeadsFirst() : keys.back().SequenceFirst();
    ASSERT_THAT(cache.Append(key, values.back().HeadsFirst()), IsOk());
    EXPECT_TRUE(cache.has_begun());
  }
  EXPECT_EQ(cache.key().extents, (Extents{2, 2, 276, 5}));
  EXPECT_EQ(cache.value().extents, (Extents{2, 2, 276, 4}));
  EXPECT_EQ(cache.key().strides[2], 5) << "the rows of a head lie one after the other";
  int64_t first = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    ExpectRows(cache.key(), first, i % 2 == 1 ? keys[i].HeadsFirst() : keys[i].SequenceFirst());
    ExpectRows(cache.value(), first, values[i].HeadsFirst());
    first += keys[i].extents[2];
  }
}

TEST(KeyValueCacheTest, MakesRoomForHalfAsManyMore) {
  ByteBudget budget(int64_t{1} << 20);
  KeyValueCache cache(budget);
  const Numbers many(200, 4, 0);
  ASSERT_THAT(cache.Append(many.HeadsFirst(), many.HeadsFirst()), IsOk());
  EXPECT_EQ(budget.used_bytes(), 300 * 4 * 4 * int64_t{sizeof(float)} * 2);
  const void* memory = cache.key().data;
  const Numbers more(100, 4, 0);
  ASSERT_THAT(cache.Append(more.HeadsFirst(), more.HeadsFirst()), IsOk());
  EXPECT_EQ(cache.key().data, memory);
}

TEST(KeyValueCacheTest, MakesNoRoomForManyRowsThatAreLong) {
  ByteBudget budget(int64_t{1} << 30);
  KeyValueCache cache(budget);
  const Numbers row(1, 1 << 18, 0);  // 4 MiB
  ASSERT_THAT(cache.Append(row.HeadsFirst(), row.HeadsFirst()), IsOk());
  EXPECT_EQ(budget.used_bytes(), int64_t{8} << 20);
}

TEST(KeyValueCacheTest, CountsTheRowsOfAnEmptyBatchToo) {
  ByteBudget budget(int64_t{1} << 20);
  KeyValueCache cache(budget);
  const TensorView none = {nullptr, DataType::kF32, {0, 2, 100, 4}, {800, 400, 4, 1}};
  for (int64_t count = 1; count <= 3; ++count) {
    ASSERT_THAT(cache.Append(none, none), IsOk());
    EXPECT_EQ(cache.key().extents, (Extents{0, 2, 100 * count, 4}));
  }
}

TEST(KeyValueCacheTest, BeginsWithoutRows) {
  ByteBudget budget(int64_t{1} << 20);
  KeyValueCache cache(budget);
  const Numbers none(0, 4, 0);
  ASSERT_THAT(cache.Append(none.HeadsFirst(), none.HeadsFirst()), IsOk());
  EXPECT_TRUE(cache.has_begun());
  EXPECT_EQ(cache.key().extents, (Extents{2, 2, 0, 4}));
  cache.Clear();
  EXPECT_FALSE(cache.has_begun());
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(KeyValueCacheTest, ForgetsTheLastRows) {
  ByteBudget budget(int64_t{1} << 20);
  KeyValueCache cache(budget);
  const Numbers first(3, 4, 0);
  const Numbers wrong(2, 4, 100);
  const Numbers second(2, 4, 200);
  ASSERT_THAT(cache.Append(first.HeadsFirst(), first.HeadsFirst()), IsOk());
  ASSERT_THAT(cache.Append(wrong.HeadsFirst(), wrong.HeadsFirst()), IsOk());
  cache.Truncate(3);
  ASSERT_THAT(cache.Append(second.HeadsFirst(), second.HeadsFirst()), IsOk());
  EXPECT_EQ(cache.value().extents[2], 5);
  ExpectRows(cache.value(), 0, first.HeadsFirst());
  ExpectRows(cache.value(), 3, second.HeadsFirst());
}

TEST(KeyValueCacheTest, TakesNoMoreThanItsBudgetHas) {
  const int64_t row_bytes = 2 * 2 * 4 * int64_t{sizeof(float)} * 2;  // of a key and a value
  ByteBudget budget(100 * row_bytes);
  const Numbers rows(90, 4, 0);
  {
    KeyValueCache cache(budget);
    ASSERT_THAT(cache.Append(rows.HeadsFirst(), rows.HeadsFirst()), IsOk());
    EXPECT_EQ(budget.used_bytes(), 95 * row_bytes) << "no room for half as many more";
    const Numbers five(5, 4, 3);
    ASSERT_THAT(cache.Append(five.HeadsFirst(), five.HeadsFirst()), IsOk());
    const Numbers one(1, 4, 7);
    EXPECT_THAT(cache.Append(one.HeadsFirst(), one.HeadsFirst()),
                StatusIs(absl::StatusCode::kResourceExhausted,
                         testing::HasSubstr("got 12288 bytes, and 640 of 12800 are free")));
    const Numbers many(6, 4, 7);
    EXPECT_THAT(cache.Append(many.HeadsFirst(), many.HeadsFirst()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::HasSubstr("got 12928 bytes, want <= 12800 (--max-cache-bytes)")));
    EXPECT_EQ(cache.key().extents[2], 95);
    ExpectRows(cache.key(), 0, rows.HeadsFirst());
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

}  // namespace
}  // namespace attention::server
