#include "server/layers/tensor_copier.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::BytesOf;
using test::IsOk;
using testing::ElementsAre;

StoredMatrix TwoByThree(const std::string& bytes) {
  return {.name = "a",
          .type = kernels::DataType::kF32,
          .row_count = 2,
          .column_count = 3,
          .bytes = BytesOf(bytes)};
}

template <class T>
std::vector<T> Elements(const absl::StatusOr<const void*>& copy, size_t count) {
  const T* const first = static_cast<const T*>(*copy);
  return {first, first + count};
}

TEST(TensorCopierTest, CopiesAndTurns) {
  std::vector<Buffer> storage;
  TensorCopier copier(kernels::DataType::kF32, storage);
  // One byte off: files align nothing.
  const std::string bytes = "x" + test::Numbers(6);
  StoredMatrix matrix = TwoByThree(bytes);
  matrix.bytes = matrix.bytes.subspan(1);
  const auto copy = copier.Copy(matrix);
  ASSERT_THAT(copy, IsOk());
  EXPECT_THAT(Elements<float>(copy, 6), ElementsAre(0, 1, 2, 3, 4, 5));
  matrix.transposed = true;
  const auto turned = copier.Copy(matrix);
  ASSERT_THAT(turned, IsOk());
  EXPECT_THAT(Elements<float>(turned, 6), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(storage.size(), 2u);
}

TEST(TensorCopierTest, RoundsToTheNearest) {
  std::vector<Buffer> storage;
  TensorCopier copier(kernels::DataType::kBF16, storage);
  const std::string bytes = test::Numbers(6, 255.5F);  // 255.5, 256.5 ... in eight bits
  const auto copy = copier.Copy(TwoByThree(bytes));
  ASSERT_THAT(copy, IsOk());
  EXPECT_THAT(Elements<uint16_t>(copy, 2), ElementsAre(0x4380, 0x4380));  // 256
}

TEST(TensorCopierTest, KeepsWhatIsNotFiniteAndMakesNothingElseSo) {
  std::vector<Buffer> storage;
  TensorCopier copier(kernels::DataType::kF16, storage);
  std::string bytes = test::Numbers(6);
  const float infinity = std::numeric_limits<float>::infinity();
  std::memcpy(bytes.data() + 8, &infinity, sizeof(infinity));
  const auto copy = copier.Copy(TwoByThree(bytes));
  ASSERT_THAT(copy, IsOk());
  EXPECT_EQ(Elements<uint16_t>(copy, 6)[2], 0x7c00);
  const float large = 65520;
  std::memcpy(bytes.data() + 8, &large, sizeof(large));
  EXPECT_THAT(copier.Copy(TwoByThree(bytes)), test::HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(StoredMatrixTest, CutsRowsAndColumns) {
  const std::string bytes = test::Numbers(6);
  const StoredMatrix matrix = TwoByThree(bytes);
  const StoredMatrix second = matrix.Rows(1, 1);
  EXPECT_EQ(second.row_count, 1);
  EXPECT_EQ(second.bytes.data(), matrix.bytes.data() + 12);
  const StoredMatrix end = second.Columns(1, 2);
  EXPECT_EQ(end.column_count, 2);
  EXPECT_EQ(end.bytes.data(), matrix.bytes.data() + 16);
  EXPECT_EQ(end.bytes.size(), 8u);
}

TEST(MatrixOfTest, PutsAllButTheFirstExtentSideBySide) {
  const std::string bytes = test::Numbers(12);
  const StoredTensor tensor = {.name = "a", .shape = {2, 3, 2}, .bytes = BytesOf(bytes)};
  const StoredMatrix matrix = MatrixOf(tensor);
  EXPECT_EQ(matrix.name, "a");
  EXPECT_EQ(matrix.row_count, 2);
  EXPECT_EQ(matrix.column_count, 6);
}

}  // namespace
}  // namespace attention::server
