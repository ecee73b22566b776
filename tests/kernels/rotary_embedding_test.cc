#include "kernels/rotary_embedding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_tensor.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::RotaryEmbedding;
using kernels::RotaryTables;

constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64};

// Half the distance from 1 to the next number.
double Roundoff(DataType type) {
  switch (type) {
    case DataType::kF16:
      return 0x1p-11;
    case DataType::kBF16:
      return 0x1p-8;
    case DataType::kF64:
      return 0x1p-53;
    default:
      return 0x1p-24;
  }
}

long double Angle(const RotaryEmbedding& rotary, int64_t width, int64_t position, int64_t k) {
  const long double exponent =
      -2.0L * static_cast<long double>(k) / static_cast<long double>(width);
  return static_cast<long double>(position) * static_cast<long double>(rotary.position_scale) *
         std::pow(static_cast<long double>(rotary.base), exponent);
}

// Where pair k stands in a row.
std::pair<int64_t, int64_t> PairAt(int64_t k, int64_t width, bool interleaved) {
  return interleaved ? std::pair(2 * k, 2 * k + 1) : std::pair(k, k + width / 2);
}

TestTensor Normals(DataType type, const Extents& extents, uint64_t seed,
                   Layout layout = Layout::kDense) {
  Random random(seed);
  TestTensor tensor(type, extents, layout);
  tensor.Fill([&] { return random.Normal(); });
  return tensor;
}

// How far a computed cosine or sine may be from its real value.
double AngleTolerance(const RotaryEmbedding& rotary, int64_t position) {
  return 0x1p-49 + 0x1p-60 * std::abs(static_cast<double>(position) * rotary.position_scale);
}

// Compares a pair of a row with what cosine and sine make of it. The f32 of cosine, sine, products
// and sum are each off by a rounding, the result by one of its type.
void ExpectTurned(const TestTensor& input, const TestTensor& output,
                  const std::pair<int64_t, int64_t>& pair, const Extents& at, double cosine,
                  double sine) {
  const double computed = input.type() == DataType::kF64 ? 0x1p-53 : 0x1p-24;
  const double x = input.At(at[0], at[1], at[2], pair.first);
  const double y = input.At(at[0], at[1], at[2], pair.second);
  const double want_x = x * cosine - y * sine;
  const double want_y = x * sine + y * cosine;
  const double terms = (4 * computed + 0x1p-48) * (std::abs(x) + std::abs(y));
  const double least = input.type() == DataType::kF16 ? 0x1p-25 : 0;
  EXPECT_NEAR(output.At(at[0], at[1], at[2], pair.first), want_x,
              terms + Roundoff(input.type()) * std::abs(want_x) + least);
  EXPECT_NEAR(output.At(at[0], at[1], at[2], pair.second), want_y,
              terms + Roundoff(input.type()) * std::abs(want_y) + least);
}

struct Case {
  DataType type;
  Extents extents;
  int64_t width;  // as in RotaryEmbedding
  bool interleaved;
  Layout input_layout = Layout::kDense;
  Layout output_layout = Layout::kDense;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const DataType type : kTypes) {
    for (const bool interleaved : {false, true}) {
      cases.push_back({type, {2, 3, 5, 64}, 0, interleaved, Layout::kSequenceFirst});
      cases.push_back({type, {1, 1, 70, 128}, 128, interleaved, Layout::kPadded, Layout::kPadded});
      cases.push_back({type, {1, 2, 3, 50}, 0, interleaved});  // 25 pairs
      cases.push_back({type, {2, 1, 4, 21}, 14, interleaved, Layout::kPadded});
      cases.push_back({type, {1, 40, 2, 6}, 2, interleaved, Layout::kDense, Layout::kPadded});
    }
  }
  return cases;
}

TEST(ApplyRotaryEmbeddingTest, TurnsThePairsOfEveryRowByItsPosition) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(testing::Message() << Name(c.type) << " width " << c.extents[3] << " of "
                                    << c.width << (c.interleaved ? " interleaved" : ""));
    const TestTensor input = Normals(c.type, c.extents, 1, c.input_layout);
    TestTensor output(c.type, c.extents, c.output_layout);
    const RotaryEmbedding rotary = {
        .width = c.width, .base = 500, .position_scale = 0.25, .interleaved = c.interleaved};
    ASSERT_THAT(ApplyRotaryEmbedding(rotary, {.first = -2}, input.view(), output.mutable_view()),
                IsOk());
    EXPECT_TRUE(output.GuardsIntact());
    const int64_t width = c.width == 0 ? c.extents[3] : c.width;
    const auto [batches, heads, rows, row_width] = c.extents;
    for (int64_t b = 0; b < batches; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t k = 0; k < width / 2; ++k) {
            const long double angle = Angle(rotary, width, r - 2, k);
            ExpectTurned(input, output, PairAt(k, width, c.interleaved), {b, h, r, 0},
                         static_cast<double>(std::cos(angle)),
                         static_cast<double>(std::sin(angle)));
          }
          for (int64_t column = width; column < row_width; ++column) {
            EXPECT_EQ(output.At(b, h, r, column), input.At(b, h, r, column));
          }
        }
      }
    }
  }
}

// Rows of (1, 0) become the cosines and the sines themselves.
TEST(ApplyRotaryEmbeddingTest, KeepsItsDigitsAtGreatPositions) {
  constexpr int64_t kWidth = 128;
  constexpr int64_t kRows = 40;
  for (const DataType type : {DataType::kF32, DataType::kF64}) {
    TestTensor input(type, {1, 1, kRows, kWidth});
    int64_t column = 0;
    input.Fill([&] { return column++ % kWidth < kWidth / 2 ? 1.0 : 0.0; });
    for (const double base : {10000.0, 0x1p64}) {  // with the second, all angles are exact
      for (const int64_t first : {int64_t{0}, int64_t{1000}, int64_t{1} << 20, -(int64_t{1} << 20),
                                  int64_t{1} << 31, -(int64_t{1} << 32) + 3}) {
        const RotaryEmbedding rotary = {.base = base, .position_scale = first % 3 == 0 ? 1 : 0.125};
        TestTensor output(type, input.extents());
        ASSERT_THAT(
            ApplyRotaryEmbedding(rotary, {.first = first}, input.view(), output.mutable_view()),
            IsOk());
        for (int64_t r = 0; r < kRows; ++r) {
          const double tolerance = AngleTolerance(rotary, first + r) + Roundoff(type);
          for (int64_t k = 0; k < kWidth / 2; ++k) {
            const long double angle = Angle(rotary, kWidth, first + r, k);
            EXPECT_NEAR(output.At(0, 0, r, k), static_cast<double>(std::cos(angle)), tolerance)
                << first << " " << k;
            EXPECT_NEAR(output.At(0, 0, r, k + kWidth / 2), static_cast<double>(std::sin(angle)),
                        tolerance)
                << first << " " << k;
          }
        }
      }
    }
  }
}

TEST(ApplyRotaryEmbeddingTest, TakesAPositionForEachBatchEntry) {
  const TestTensor input = Normals(DataType::kF32, {2, 2, 6, 16}, 3);
  const std::vector<int64_t> firsts = {7, std::numeric_limits<int64_t>::max()};
  TestTensor both(DataType::kF32, input.extents());
  ASSERT_THAT(ApplyRotaryEmbedding({}, {.batch_firsts = firsts}, input.view(), both.mutable_view()),
              IsOk());
  TestTensor alone(DataType::kF32, input.extents());
  ASSERT_THAT(ApplyRotaryEmbedding({}, {.first = 7}, input.view(), alone.mutable_view()), IsOk());
  EXPECT_EQ(both.RowBytes(0, 1, 5), alone.RowBytes(0, 1, 5));
  EXPECT_NE(both.RowBytes(1, 1, 5), alone.RowBytes(1, 1, 5));
}

// Whatever stands before or beside it, and however many threads there are.
TEST(ApplyRotaryEmbeddingTest, GivesARowTheSameBitsInAnyCompany) {
  for (const DataType type : kTypes) {
    const TestTensor input = Normals(type, {2, 35, 150, 40}, 4);
    TestTensor output(type, input.extents());
    ThreadExecutor executor(3);
    const auto threads = ApplyRotaryEmbedding({}, {.first = 5}, input.view(), output.mutable_view(),
                                              {.executor = &executor});
    ASSERT_THAT(threads, IsOk());
    EXPECT_EQ(*threads, 3);
    TestTensor row(type, {1, 1, 1, 40});
    for (const int64_t r : {0, 63, 64, 149}) {
      for (int64_t column = 0; column < 40; ++column) {
        row.Set(0, 0, 0, column, input.At(1, 33, r, column));
      }
      TestTensor alone(type, row.extents());
      ASSERT_THAT(ApplyRotaryEmbedding({}, {.first = 5 + r}, row.view(), alone.mutable_view()),
                  IsOk());
      EXPECT_EQ(alone.RowBytes(0, 0, 0), output.RowBytes(1, 33, r)) << Name(type) << " " << r;
    }
  }
}

TEST(ApplyRotaryEmbeddingTest, MayWriteWhereItReads) {
  for (const Case& c : Cases()) {
    TestTensor tensor = Normals(c.type, c.extents, 5, c.output_layout);
    const RotaryEmbedding rotary = {.width = c.width, .interleaved = c.interleaved};
    TestTensor apart(c.type, c.extents, c.output_layout);
    ASSERT_THAT(ApplyRotaryEmbedding(rotary, {}, tensor.view(), apart.mutable_view()), IsOk());
    ASSERT_THAT(ApplyRotaryEmbedding(rotary, {}, tensor.view(), tensor.mutable_view()), IsOk());
    EXPECT_EQ(tensor.storage(), apart.storage());
  }
}

TEST(ApplyRotaryEmbeddingTest, HasNothingToDoForNoRows) {
  for (const Extents& extents : {Extents{0, 2, 3, 4}, Extents{2, 2, 0, 4}}) {
    TestTensor tensor(DataType::kF32, extents);
    EXPECT_THAT(ApplyRotaryEmbedding({}, {}, tensor.view(), tensor.mutable_view()), IsOk());
  }
}

TEST(ApplyRotaryEmbeddingTest, StopsWhenAsked) {
  TestTensor tensor = Normals(DataType::kF32, {1, 1, 1000, 8}, 6);
  const StopAfter stop(3);
  EXPECT_THAT(ApplyRotaryEmbedding({}, {}, tensor.view(), tensor.mutable_view(), {.stop = &stop}),
              HasCode(absl::StatusCode::kCancelled));
}

TEST(ApplyRotaryEmbeddingTest, RefusesWhatItCannotTurn) {
  const double kInfinity = std::numeric_limits<double>::infinity();
  const struct {
    RotaryEmbedding rotary;
    int64_t row_width;
    std::string message;
  } refusals[] = {
      {{.width = 3}, 8, "rotary.width: got 3, want even, between 0 and 8"},
      {{.width = 10}, 8, "rotary.width: got 10, want even, between 0 and 8"},
      {{.width = -2}, 8, "rotary.width: got -2, want even, between 0 and 8"},
      {{}, 7, "rotary.width: got 0 for the row width 7, want an even width"},
      {{.base = 0}, 8, "rotary.base: got 0, want a finite number > 0"},
      {{.base = kInfinity}, 8, "rotary.base: got inf, want a finite number > 0"},
      {{.base = std::nan("")}, 8, "rotary.base: got nan, want a finite number > 0"},
      {{.position_scale = -kInfinity}, 8, "rotary.position_scale: got -inf, want a finite number"},
  };
  for (const auto& [rotary, row_width, message] : refusals) {
    TestTensor tensor = Normals(DataType::kF32, {1, 1, 2, row_width}, 7);
    EXPECT_THAT(ApplyRotaryEmbedding(rotary, {}, tensor.view(), tensor.mutable_view()),
                StatusIs(absl::StatusCode::kInvalidArgument, message));
  }
}

TEST(ApplyRotaryEmbeddingTest, RefusesOperandsThatDoNotFit) {
  TestTensor input = Normals(DataType::kF32, {2, 1, 2, 4}, 8);
  TestTensor other(DataType::kF32, {2, 1, 2, 6});
  TestTensor half(DataType::kF16, input.extents());
  TestTensor booleans(DataType::kBool, input.extents());
  const std::vector<int64_t> one_first = {1};
  using testing::HasSubstr;
  EXPECT_THAT(ApplyRotaryEmbedding({}, {}, input.view(), other.mutable_view()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "output.extents: got [2, 1, 2, 6], want [2, 1, 2, 4]"));
  EXPECT_THAT(
      ApplyRotaryEmbedding({}, {}, input.view(), half.mutable_view()),
      StatusIs(absl::StatusCode::kInvalidArgument, "output.type: got F16, want F32 as the input"));
  EXPECT_THAT(ApplyRotaryEmbedding({}, {}, booleans.view(), booleans.mutable_view()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("input.type: got BOOL")));
  EXPECT_THAT(
      ApplyRotaryEmbedding({}, {.batch_firsts = one_first}, input.view(), input.mutable_view()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "batch_firsts: got 1 positions, want 2 as input.extents[0]"));
}

TEST(ApplyRotaryTablesTest, TurnsByTheTablesRowsThatItIsTold) {
  for (const DataType type : kTypes) {
    for (const bool interleaved : {false, true}) {
      const TestTensor input = Normals(type, {2, 3, 70, 12}, 9, Layout::kSequenceFirst);
      const TestTensor cosines = Normals(type, {1, 1, 9, 5}, 10);  // of no circle
      const TestTensor sines = Normals(type, {1, 1, 9, 5}, 11);
      Random random(12);
      std::vector<int64_t> positions(2 * 70);
      for (int64_t& position : positions) position = random.Index(9);
      TestTensor output(type, input.extents(), Layout::kSequenceFirst);
      const RotaryTables tables = {cosines.view(), sines.view(), positions.data(), 10, interleaved};
      ASSERT_THAT(ApplyRotaryTables(tables, input.view(), output.mutable_view()), IsOk());
      for (int64_t b = 0; b < 2; ++b) {
        for (int64_t r = 0; r < 70; ++r) {
          const int64_t p = positions[static_cast<size_t>(b * 70 + r)];
          for (int64_t k = 0; k < 5; ++k) {
            const double c = cosines.At(0, 0, p, k);
            const double s = sines.At(0, 0, p, k);
            for (int64_t h = 0; h < 3; ++h) {
              const auto [x_at, y_at] = PairAt(k, 10, interleaved);
              const double x = input.At(b, h, r, x_at);
              const double y = input.At(b, h, r, y_at);
              const double computed = type == DataType::kF64 ? 0x1p-53 : 0x1p-24;
              const double want = x * c - y * s;
              EXPECT_NEAR(output.At(b, h, r, x_at), want,
                          4 * computed * (std::abs(x * c) + std::abs(y * s)) +
                              Roundoff(type) * std::abs(want) + 0x1p-25 * (type == DataType::kF16));
            }
          }
          EXPECT_EQ(output.At(b, 0, r, 11), input.At(b, 0, r, 11));
        }
      }
    }
  }
}

TEST(ApplyRotaryTablesTest, HasATableRowForEachRowWithoutPositions) {
  const TestTensor input = Normals(DataType::kF32, {2, 1, 3, 4}, 13);
  const TestTensor cosines = Normals(DataType::kF32, {2, 1, 3, 2}, 14);
  const TestTensor sines = Normals(DataType::kF32, {2, 1, 3, 2}, 15);
  TestTensor output(DataType::kF32, input.extents());
  ASSERT_THAT(
      ApplyRotaryTables({cosines.view(), sines.view()}, input.view(), output.mutable_view()),
      IsOk());
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t r = 0; r < 3; ++r) {
      EXPECT_NEAR(output.At(b, 0, r, 1),
                  input.At(b, 0, r, 1) * cosines.At(b, 0, r, 1) -
                      input.At(b, 0, r, 3) * sines.At(b, 0, r, 1),
                  1e-6 * 10);
    }
  }
}

TEST(ApplyRotaryTablesTest, RefusesTablesThatDoNotFit) {
  TestTensor input = Normals(DataType::kF32, {2, 1, 3, 8}, 16);
  const auto refusal = [&](const TestTensor& cosines, const TestTensor& sines,
                           const int64_t* positions, int64_t width) {
    const RotaryTables tables = {cosines.view(), sines.view(), positions, width};
    const auto result = ApplyRotaryTables(tables, input.view(), input.mutable_view());
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  const TestTensor fits(DataType::kF32, {1, 1, 5, 4});
  const TestTensor narrow(DataType::kF32, {1, 1, 5, 3});
  const TestTensor half(DataType::kF16, {1, 1, 5, 4});
  const std::vector<int64_t> good = {0, 1, 2, 3, 4, 0};
  const std::vector<int64_t> beyond = {0, 1, 2, 3, 5, 0};
  const std::vector<int64_t> before = {0, -1, 2, 3, 4, 0};
  EXPECT_EQ(refusal(fits, fits, good.data(), 5), "width: got 5, want even, between 0 and 8");
  EXPECT_EQ(refusal(fits, narrow, good.data(), 0),
            "sines.extents: got [1, 1, 5, 3], want [1, 1, 5, 4]");
  EXPECT_EQ(refusal(half, fits, good.data(), 0), "cosines.type: got F16, want F32");
  EXPECT_EQ(refusal(fits, fits, nullptr, 0),
            "cosines.extents: got [1, 1, 5, 4], want [2, 1, 3, 4]");
  EXPECT_EQ(refusal(fits, fits, beyond.data(), 0), "row_positions[4]: got 5, want in [0, 5)");
  EXPECT_EQ(refusal(fits, fits, before.data(), 0), "row_positions[1]: got -1, want in [0, 5)");
}

}  // namespace
}  // namespace attention::test
