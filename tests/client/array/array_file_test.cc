#include "client/array/array_file.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/array/npy_array.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::HasSubstr;

const Array kRow = {.shape = {1, 2}, .numbers = {1, 2}};

std::string NpyRow() {
  return ToNpy(TensorValue::FromDoubles(DataType::kF64, kRow.shape, kRow.numbers).value());
}

TEST(ArrayFileTest, FormatsAreToldByTheirFirstBytes) {
  EXPECT_EQ(ParseArray(" \n[[1,2]]", ArrayFormat::kSniffed).value(), kRow);
  EXPECT_EQ(ParseArray("1,2", ArrayFormat::kSniffed).value(), kRow);
  EXPECT_EQ(ParseArray(NpyRow(), ArrayFormat::kSniffed).value(), kRow);
}

TEST(ArrayFileTest, AGivenFormatIsNotGuessedAnew) {
  EXPECT_FALSE(ParseArray("[[1,2]]", ArrayFormat::kCsv).ok());
  EXPECT_FALSE(ParseArray("1,2", ArrayFormat::kJson).ok());
  EXPECT_FALSE(ParseArray("1,2", ArrayFormat::kNpy).ok());
}

TEST(ArrayFileTest, ADashIsStandardInput) {
  std::istringstream input("1,2\n");
  EXPECT_EQ(ReadArray("-", ArrayFormat::kSniffed, input).value(), kRow);
  std::istringstream wrong("x");
  EXPECT_THAT(ReadArray("-", ArrayFormat::kSniffed, wrong).status().message(),
              HasSubstr("standard input: line 1"));
}

TEST(ArrayFileTest, FilesAreReadWholeAndNamedInErrors) {
  const std::string path = ::testing::TempDir() + "array_file_" + std::to_string(getpid()) + ".npy";
  std::ofstream(path, std::ios::binary) << NpyRow();
  std::istringstream unused;
  EXPECT_EQ(ReadArray(path, ArrayFormat::kSniffed, unused).value(), kRow);
  std::filesystem::remove(path);
  const absl::Status missing = ReadArray(path, ArrayFormat::kSniffed, unused).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(path));
  EXPECT_FALSE(ReadArray(::testing::TempDir(), ArrayFormat::kSniffed, unused).ok())
      << "a folder is no file";
}

TEST(ArrayFileTest, AByteOrderMarkIsNoPartOfAText) {
  const Array want = {.shape = {1, 2}, .numbers = {1, 2}};
  for (const ArrayFormat format : {ArrayFormat::kSniffed, ArrayFormat::kCsv})
    EXPECT_EQ(ParseArray("\xef\xbb\xbf"
                         "1,2\r\n",
                         format)
                  .value(),
              want);
  for (const ArrayFormat format : {ArrayFormat::kSniffed, ArrayFormat::kJson})
    EXPECT_EQ(ParseArray("\xef\xbb\xbf[[1,2]]", format).value(), want);
}

TEST(ArrayFileTest, AFileWithMoreElementsThanAllowedIsRefused) {
  for (const std::string& bytes : {NpyRow(), std::string("[1,2]"), std::string("1,2\n")}) {
    EXPECT_THAT(ParseArray(bytes, ArrayFormat::kSniffed, 1).status().message(),
                HasSubstr("has 2 elements, more than 1"));
    EXPECT_TRUE(ParseArray(bytes, ArrayFormat::kSniffed, 2).ok());
  }
}

}  // namespace
}  // namespace attention::client
