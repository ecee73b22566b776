// Masks are not read at keys that the key lengths hide: there need be no memory.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/attend.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/random.h"

namespace attention::test {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): the test is about nothing else

// Bytes that end where memory ends: reading on is a fault.
class GuardedBytes {
 public:
  explicit GuardedBytes(const std::vector<std::byte>& bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_bytes_ = (bytes.size() / page + 2) * page;
    void* const mapped =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    first_ = static_cast<std::byte*>(mapped);
    std::byte* const end = first_ + mapped_bytes_ - page;
    EXPECT_EQ(mprotect(end, page, PROT_NONE), 0);
    data_ = end - bytes.size();
    std::copy(bytes.begin(), bytes.end(), data_);
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  ~GuardedBytes() { munmap(first_, mapped_bytes_); }

  [[nodiscard]] const std::byte* data() const { return data_; }

 private:
  size_t mapped_bytes_ = 0;
  std::byte* first_ = nullptr;
  std::byte* data_ = nullptr;
};

constexpr int64_t kBatch = 2;
constexpr int64_t kHeads = 2;
constexpr int64_t kWidth = 16;

struct Shape {
  int64_t query_count;
  int64_t key_count;
  int64_t reach;  // keys that the mask has
};
constexpr Shape kShapes[] = {{1, 700, 333}, {5, 70, 1},      {5, 70, 0},
                             {70, 70, 69},  {130, 300, 130}, {200, 1100, 517}};

std::vector<float> Normals(Random& random, int64_t count) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.Normal());
  return numbers;
}

// One call with a mask of `shape.reach` keys: all that it returns.
class MaskedCall {
 public:
  MaskedCall(const Shape& shape, AttentionOptions options)
      : shape_(shape),
        options_(options),
        random_(static_cast<uint64_t>(shape.key_count)),
        query_(Normals(random_, kBatch * kHeads * shape.query_count * kWidth)),
        key_(Normals(random_, kBatch * kHeads * shape.key_count * kWidth)),
        value_(Normals(random_, kBatch * kHeads * shape.key_count * kWidth)),
        lengths_{shape.reach, shape.reach / 2},
        output_(query_.size()),
        weights_(static_cast<size_t>(kBatch * kHeads * shape.query_count * shape.key_count)),
        scores_(weights_.size()) {}

  // `row_stride` elements lie between two rows of the mask.
  std::vector<float> Run(TensorView AttentionProblem::* mask, DataType type, const void* data,
                         int64_t row_stride) {
    const auto [query_count, key_count, reach] = shape_;
    AttentionProblem problem;
    problem.query = DenseView(static_cast<const void*>(query_.data()), DataType::kF32,
                              {kBatch, kHeads, query_count, kWidth});
    problem.key = DenseView(static_cast<const void*>(key_.data()), DataType::kF32,
                            {kBatch, kHeads, key_count, kWidth});
    problem.value = DenseView(static_cast<const void*>(value_.data()), DataType::kF32,
                              {kBatch, kHeads, key_count, kWidth});
    problem.key_lengths = lengths_;
    const Extents matrix = {kBatch, kHeads, query_count, key_count};
    problem.*mask = {data, type, matrix, {0, 0, row_stride, 1}};
    AttentionOutputs outputs;
    outputs.output = DenseView(output_.data(), DataType::kF32, problem.query.extents);
    outputs.weights = DenseView(weights_.data(), DataType::kF32, matrix);
    if (options_.scores != ScoresOutput::kNone) {
      outputs.scores = DenseView(scores_.data(), DataType::kF32, matrix);
    }
    const auto report = Attend(problem, options_, outputs);
    EXPECT_TRUE(report.ok()) << report.status();
    std::vector<float> all = output_;
    all.insert(all.end(), weights_.begin(), weights_.end());
    all.insert(all.end(), scores_.begin(), scores_.end());
    return all;
  }

 private:
  const Shape shape_;
  const AttentionOptions options_;
  Random random_;
  const std::vector<float> query_, key_, value_;
  const std::vector<int64_t> lengths_;
  std::vector<float> output_, weights_, scores_;
};

struct MaskKind {
  TensorView AttentionProblem::* mask;
  DataType type;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
};
const MaskKind kKinds[] = {
    {&AttentionProblem::boolean_mask, DataType::kBool},
    {&AttentionProblem::additive_mask, DataType::kF32},
    {&AttentionProblem::additive_mask, DataType::kBF16},
    {&AttentionProblem::multiplicative_mask, DataType::kF32, Normalization::kNone},
};

// Rows of `row_count` keys with the same elements at the first of them, and others after those.
std::vector<std::byte> MaskBytes(const MaskKind& kind, const Shape& shape, int64_t row_count) {
  const size_t element_bytes = ElementBytes(kind.type);
  std::vector<std::byte> bytes(static_cast<size_t>(shape.query_count * row_count) * element_bytes);
  for (int64_t i = 0; i < shape.query_count; ++i) {
    for (int64_t j = 0; j < row_count; ++j) {
      std::byte* const element =
          bytes.data() + static_cast<size_t>(i * row_count + j) * element_bytes;
      const uint64_t pattern = static_cast<uint64_t>(i * 31 + j * 7) % 5;
      const float number = static_cast<float>(pattern) - 2;
      if (kind.type == DataType::kBool) {
        *element = pattern == 0 ? std::byte{0} : std::byte{1};
      } else if (kind.type == DataType::kF32) {
        std::memcpy(element, &number, sizeof(number));
      } else {  // the upper half of an F32 is a BF16
        std::memcpy(element, reinterpret_cast<const std::byte*>(&number) + 2, 2);
      }
    }
  }
  return bytes;
}

// The same bits as with a mask of all keys, of which the key lengths hide what the other lacks.
TEST(ShortMaskTest, ReadsNoMaskBehindTheKeyLengths) {
  for (const ScoresOutput scores :
       {ScoresOutput::kNone, ScoresOutput::kRaw, ScoresOutput::kCapped, ScoresOutput::kMasked}) {
    for (const MaskKind& kind : kKinds) {
      if (kind.normalization == Normalization::kNone && ForcedToFused()) continue;
      for (const Shape& shape : kShapes) {
        AttentionOptions options;
        options.normalization = kind.normalization;
        options.scores = scores;
        options.softcap = 3.0;
        const GuardedBytes short_mask(MaskBytes(kind, shape, shape.reach));
        const std::vector<std::byte> whole_mask = MaskBytes(kind, shape, shape.key_count);
        MaskedCall call(shape, options);
        const std::vector<float> got =
            call.Run(kind.mask, kind.type, short_mask.data(), shape.reach);
        const std::vector<float> want =
            call.Run(kind.mask, kind.type, whole_mask.data(), shape.key_count);
        ASSERT_EQ(got.size(), want.size());
        EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0)
            << shape.query_count << " queries, " << shape.reach << " of " << shape.key_count
            << " keys";
      }
    }
  }
}

}  // namespace
}  // namespace attention::test
