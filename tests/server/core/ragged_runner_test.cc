#include "server/core/ragged_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/convert.h"
#include "tests/support/random.h"
#include "tests/support/thread_executor.h"

namespace attention::server {
namespace {

using kernels::AttentionOptions;
using kernels::AttentionOutputs;
using kernels::AttentionProblem;
using kernels::DataType;
using kernels::Extents;
using Bytes = std::vector<std::byte>;

constexpr int64_t kHeads = 4;
constexpr int64_t kKeyValueHeads = 2;
constexpr int64_t kKeyWidth = 24;
constexpr int64_t kValueWidth = 16;

struct Length {
  int64_t queries;
  int64_t keys;
};

// N(0, 1) in `type`, [tokens, heads, width]; the same for the same seed.
Bytes Numbers(DataType type, int64_t rows, int64_t row_elements, uint64_t seed) {
  std::vector<double> numbers(static_cast<size_t>(rows * row_elements));
  test::Random random(seed);
  for (double& number : numbers) number = random.Normal();
  Bytes bytes(numbers.size() * kernels::ElementBytes(type));
  kernels::StoreElements(type, numbers.data(), static_cast<int64_t>(numbers.size()), bytes.data());
  return bytes;
}

// [1, heads, rows, width] over heads that lie side by side.
kernels::TensorView Packed(const Bytes& bytes, DataType type, int64_t heads, int64_t rows,
                           int64_t width) {
  return {
      bytes.data(), type, {1, heads, rows, width}, {rows * heads * width, width, heads * width, 1}};
}

// One sequence of its own memory.
struct Alone {
  Alone(DataType type, const Length& length, uint64_t seed)
      : query(Numbers(type, length.queries, kHeads * kKeyWidth, seed)),
        key(Numbers(type, length.keys, kKeyValueHeads * kKeyWidth, seed + 1)),
        value(Numbers(type, length.keys, kKeyValueHeads * kValueWidth, seed + 2)) {}

  Bytes query, key, value;
};

// The problem over rows of all sequences, without memory for the empty ones.
AttentionProblem ProblemOver(DataType type, const Alone& rows, const Length& length) {
  AttentionProblem problem;
  problem.query = Packed(rows.query, type, kHeads, length.queries, kKeyWidth);
  problem.key = Packed(rows.key, type, kKeyValueHeads, length.keys, kKeyWidth);
  problem.value = Packed(rows.value, type, kKeyValueHeads, length.keys, kValueWidth);
  return problem;
}

// What a sequence looks like in a batch, and with which options.
struct Setting {
  bool causal = false;
  bool lengths = false;  // the last of each three keys are padding
  AttentionOptions options;
};

int64_t KeyLengthOf(const Length& length) { return length.keys - length.keys / 3; }

void SetSequences(const Setting& setting, const std::vector<Length>& lengths,
                  std::vector<int64_t>& offsets, std::vector<int64_t>& key_lengths,
                  AttentionProblem& problem) {
  for (const Length& length : lengths) {
    offsets.push_back(length.keys - length.queries);
    key_lengths.push_back(KeyLengthOf(length));
  }
  problem.causal = setting.causal;
  // Offsets of one sequence are the same as the one offset of its problem.
  if (setting.causal && lengths.size() == 1) problem.query_offset = offsets[0];
  if (setting.causal && lengths.size() > 1) problem.query_offsets = offsets;
  if (setting.lengths) problem.key_lengths = key_lengths;
}

// Computes one sequence alone, heads side by side.
Bytes OutputAlone(DataType type, const Alone& rows, const Length& length, const Setting& setting) {
  std::vector<int64_t> offsets, key_lengths;
  AttentionProblem problem = ProblemOver(type, rows, length);
  SetSequences(setting, {length}, offsets, key_lengths, problem);
  Bytes bytes(static_cast<size_t>(length.queries * kHeads * kValueWidth) *
              kernels::ElementBytes(type));
  AttentionOutputs outputs;
  const auto packed = Packed(bytes, type, kHeads, length.queries, kValueWidth);
  outputs.output = {bytes.data(), type, packed.extents, packed.strides};
  const auto report = kernels::Attend(problem, setting.options, outputs);
  EXPECT_TRUE(report.ok()) << report.status();
  return bytes;
}

class RaggedBatch {
 public:
  RaggedBatch(DataType type, std::vector<Length> lengths, const std::vector<uint64_t>& seeds,
              const Setting& setting)
      : type_(type), lengths_(std::move(lengths)), setting_(setting) {
    rows_.query_starts = rows_.key_starts = {0};
    Alone all(type, {0, 0}, 0);
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const Alone alone(type, lengths_[s], seeds[s]);
      const auto append = [](Bytes& whole, const Bytes& part) {
        whole.insert(whole.end(), part.begin(), part.end());
      };
      append(all.query, alone.query);
      append(all.key, alone.key);
      append(all.value, alone.value);
      rows_.query_starts.push_back(rows_.query_starts.back() + lengths_[s].queries);
      rows_.key_starts.push_back(rows_.key_starts.back() + lengths_[s].keys);
    }
    memory_ = std::make_unique<Alone>(std::move(all));
    const Length tokens = {rows_.query_starts.back(), rows_.key_starts.back()};
    problem_ = ProblemOver(type, *memory_, tokens);
    SetSequences(setting_, lengths_, offsets_, key_lengths_, problem_);
    output_.resize(static_cast<size_t>(tokens.queries * kHeads * kValueWidth) *
                   kernels::ElementBytes(type));
    const auto packed = Packed(output_, type, kHeads, tokens.queries, kValueWidth);
    outputs_.output = {output_.data(), type, packed.extents, packed.strides};
  }

  absl::StatusOr<kernels::AttentionReport> Attend(const kernels::Execution& execution) {
    EXPECT_TRUE(ValidateRagged(problem_, rows_, setting_.options, outputs_).ok())
        << ValidateRagged(problem_, rows_, setting_.options, outputs_);
    std::fill(output_.begin(), output_.end(), std::byte{0xEE});
    return AttendToSequences(problem_, rows_, setting_.options, outputs_, execution);
  }

  // The bytes of one sequence's output.
  [[nodiscard]] Bytes OutputOf(size_t sequence) const {
    const size_t row_bytes = kHeads * kValueWidth * kernels::ElementBytes(type_);
    const auto begin =
        output_.begin() +
        static_cast<ptrdiff_t>(static_cast<size_t>(rows_.query_starts[sequence]) * row_bytes);
    return {begin, begin + static_cast<ptrdiff_t>(static_cast<size_t>(lengths_[sequence].queries) *
                                                  row_bytes)};
  }

 private:
  const DataType type_;
  const std::vector<Length> lengths_;
  const Setting setting_;
  RaggedRows rows_;
  std::unique_ptr<Alone> memory_;
  std::vector<int64_t> offsets_, key_lengths_;
  AttentionProblem problem_;
  Bytes output_;
  AttentionOutputs outputs_;
};

// Prefill, decode, empty ones and one that dwarfs the others.
const std::vector<Length> kLengths = {{5, 5},   {1, 300}, {0, 4},  {3, 0},     {33, 65}, {1, 1},
                                      {64, 64}, {0, 0},   {17, 9}, {400, 900}, {2, 31},  {40, 40}};

std::vector<uint64_t> Seeds(uint64_t first) {
  std::vector<uint64_t> seeds(kLengths.size());
  for (size_t s = 0; s < seeds.size(); ++s) seeds[s] = first + 10 * s;
  return seeds;
}

void ExpectTheBitsOfEachAlone(DataType type, const Setting& setting) {
  RaggedBatch batch(type, kLengths, Seeds(1), setting);
  for (const int thread_count : {1, 2, 4}) {
    test::ThreadExecutor executor(thread_count);
    const auto report = batch.Attend({.executor = &executor, .stop = nullptr});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->thread_count, thread_count);
    for (size_t s = 0; s < kLengths.size(); ++s) {
      const Alone alone(type, kLengths[s], Seeds(1)[s]);
      ASSERT_EQ(batch.OutputOf(s), OutputAlone(type, alone, kLengths[s], setting))
          << "sequence " << s << " on " << thread_count << " threads";
    }
  }
}

TEST(RaggedRunnerTest, GivesEachSequenceTheBitsThatItHasAlone) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    for (const bool causal : {false, true}) {
      for (const bool lengths : {false, true}) {
        SCOPED_TRACE(testing::Message() << kernels::Name(type) << causal << lengths);
        ExpectTheBitsOfEachAlone(type, {causal, lengths, {}});
      }
    }
  }
}

TEST(RaggedRunnerTest, GivesThemInEveryPrecisionToo) {
  for (const kernels::Precision precision :
       {kernels::Precision::kBF16X6, kernels::Precision::kBF16X3, kernels::Precision::kBF16}) {
    Setting setting;
    setting.options.precision = precision;
    setting.options.scale = 0.3;
    ExpectTheBitsOfEachAlone(DataType::kF32, setting);
  }
}

// The same sequences in another order, beside others, and alone on a thread or on all of them.
TEST(RaggedRunnerTest, GivesThemWhateverTheNeighbours) {
  const Setting setting = {true, false, {}};
  RaggedBatch batch(DataType::kF32, kLengths, Seeds(1), setting);
  ASSERT_TRUE(batch.Attend({}).ok());
  std::vector<Length> reversed(kLengths.rbegin(), kLengths.rend());
  std::vector<uint64_t> seeds = Seeds(1);
  std::reverse(seeds.begin(), seeds.end());
  for (const int64_t neighbour_tokens : {0, 1, 1000}) {
    std::vector<Length> lengths = reversed;
    std::vector<uint64_t> all_seeds = seeds;
    lengths.push_back({neighbour_tokens, neighbour_tokens});
    all_seeds.push_back(77);
    RaggedBatch other(DataType::kF32, lengths, all_seeds, setting);
    test::ThreadExecutor executor(3);
    ASSERT_TRUE(other.Attend({.executor = &executor, .stop = nullptr}).ok());
    for (size_t s = 0; s < kLengths.size(); ++s) {
      EXPECT_EQ(other.OutputOf(kLengths.size() - 1 - s), batch.OutputOf(s)) << s;
    }
  }
}

// Counts how its items are run.
class RecordingExecutor final : public kernels::Executor {
 public:
  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override {
    item_counts.push_back(item_count);
    for (int64_t item = 0; item < item_count; ++item) work(item);
    return 2;
  }
  int thread_count() const override { return 2; }

  std::vector<int64_t> item_counts;
};

TEST(RaggedRunnerTest, RunsManySequencesSideBySideAndLongOnesOnAllThreads) {
  RecordingExecutor executor;
  const std::vector<Length> equal(100, {20, 20});
  RaggedBatch many(DataType::kF32, equal, std::vector<uint64_t>(100, 1), {});
  ASSERT_TRUE(many.Attend({.executor = &executor, .stop = nullptr}).ok());
  EXPECT_EQ(executor.item_counts, (std::vector<int64_t>{100}));  // nothing within an item

  executor.item_counts.clear();
  std::vector<Length> one_long = equal;
  one_long[50] = {600, 600};
  RaggedBatch mixed(DataType::kF32, one_long, std::vector<uint64_t>(100, 1), {});
  ASSERT_TRUE(mixed.Attend({.executor = &executor, .stop = nullptr}).ok());
  ASSERT_GE(executor.item_counts.size(), 2u);  // the long one's own come first
  EXPECT_EQ(executor.item_counts.back(), 99);

  executor.item_counts.clear();
  RaggedBatch few(DataType::kF32, std::vector<Length>(3, {200, 200}), std::vector<uint64_t>(3, 1),
                  {});
  ASSERT_TRUE(few.Attend({.executor = &executor, .stop = nullptr}).ok());
  EXPECT_GE(executor.item_counts.size(), 3u);
}

TEST(RaggedRunnerTest, ReportsWhatMostQueriesTook) {
  Setting setting;
  setting.options.precision = kernels::Precision::kBF16;
  // Few queries at a time are computed in f32, here and alone.
  RaggedBatch decode(DataType::kF32, std::vector<Length>(9, {1, 64}), std::vector<uint64_t>(9, 1),
                     setting);
  EXPECT_EQ(decode.Attend({})->precision, "f32");
  std::vector<Length> lengths(9, {1, 64});
  lengths.push_back({64, 64});
  RaggedBatch mixed(DataType::kF32, lengths, std::vector<uint64_t>(10, 1), setting);
  RaggedBatch prefill(DataType::kF32, {{64, 64}}, {1}, setting);
  EXPECT_EQ(mixed.Attend({})->precision, prefill.Attend({})->precision);
  EXPECT_FALSE(mixed.Attend({})->implementation.empty());
}

TEST(RaggedRunnerTest, StopsBetweenSequences) {
  RaggedBatch batch(DataType::kF64, std::vector<Length>(20, {2, 2}), std::vector<uint64_t>(20, 1),
                    {});
  int64_t stopped_count = 0;
  for (int64_t ask_count = 1; ask_count < 10000; ++ask_count) {
    const test::StopAfter stop(ask_count);
    const auto report = batch.Attend({.executor = nullptr, .stop = &stop});
    if (report.ok()) break;
    ASSERT_EQ(report.status().code(), absl::StatusCode::kCancelled);
    ++stopped_count;
  }
  EXPECT_GE(stopped_count, 20);
  EXPECT_LT(stopped_count, 9000);
}

TEST(RaggedRunnerTest, CountsTheMemoryOfItsList) {
  RaggedRows rows;
  rows.query_starts = rows.key_starts = std::vector<int64_t>(1001, 0);
  EXPECT_EQ(ScheduleBytes(rows), 1000 * 16);
}

}  // namespace
}  // namespace attention::server
