#include "client/array/npy_array.h"

#include "client/array/npy_header.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kGoodHeader =
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";

// A file whose header's length is given in `length_bytes` bytes, as versions 1 (two) and 2 and 3
// (four) do.
std::string File(int version, std::string_view header, std::string_view data) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  for (int byte = 0; byte < (version == 1 ? 2 : 4); ++byte)
    file += static_cast<char>(header.size() >> (8 * byte));
  return file.append(header).append(data);
}

std::string FloatBytes(std::vector<float> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

std::string Error(const std::string& file) {
  return std::string(ParseNpyArray(file).status().message());
}

std::string ErrorOfHeader(std::string_view header) {
  return Error(File(1, header, FloatBytes({1, 2})));
}

TEST(NpyArrayTest, ReadsAllThreeVersions) {
  for (const int version : {1, 2, 3}) {
    const auto array = ParseNpyArray(File(version, kGoodHeader, FloatBytes({1.5, -2})));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_THAT(array->shape, ElementsAre(2));
    EXPECT_THAT(array->numbers, ElementsAre(1.5, -2));
  }
}

TEST(NpyArrayTest, ReadsWhatItWritesForEveryType) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64,
                              DataType::kBool, DataType::kInt32, DataType::kInt64}) {
    const std::vector<double> numbers = {1, 0, 1, 1, 0, 0};
    const TensorValue tensor = TensorValue::FromDoubles(type, {1, 2, 3}, numbers).value();
    const std::string file = ToNpy(tensor);
    const auto array = ParseNpyArray(file);
    ASSERT_TRUE(array.ok()) << Name(type) << array.status();
    EXPECT_EQ(*array, (Array{.shape = {1, 2, 3}, .numbers = numbers})) << Name(type);
    const size_t data_bytes = numbers.size() * (type == DataType::kBF16 ? 4 : ElementBytes(type));
    EXPECT_EQ((file.size() - data_bytes) % 64, 0u) << "the data must be aligned";
  }
}

TEST(NpyArrayTest, WritesTheHeaderOfNumPy) {
  const TensorValue vector =
      TensorValue::FromDoubles(DataType::kF64, {3}, std::vector<double>{1, 2, 3}).value();
  EXPECT_THAT(ToNpy(vector),
              HasSubstr("{'descr': '<f8', 'fortran_order': False, 'shape': (3, ), }"));
}

TEST(NpyArrayTest, RefusesWhatIsNoNpyFile) {
  EXPECT_FALSE(ParseNpyArray("").ok());
  EXPECT_FALSE(ParseNpyArray("[[1, 2]]").ok());
  EXPECT_FALSE(ParseNpyArray("\x93NUMPZ\x01").ok());
  EXPECT_THAT(Error(File(4, kGoodHeader, FloatBytes({1, 2}))), HasSubstr("version"));
}

TEST(NpyArrayTest, RefusesEveryTruncation) {
  const std::string file = File(2, kGoodHeader, FloatBytes({1, 2}));
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_FALSE(ParseNpyArray(file.substr(0, length)).ok()) << length;
  }
  EXPECT_FALSE(ParseNpyArray(file + '\0').ok()) << "bytes after the data";
}

TEST(NpyArrayTest, RefusesAHugeHeaderWithoutReadingIt) {
  std::string file = "\x93NUMPY";
  file += std::string("\x02\x00\xff\xff\xff\xff", 6);
  EXPECT_THAT(Error(file), HasSubstr("header has 4294967295 bytes"));
}

TEST(NpyArrayTest, RefusesShapesThatOverflowOrDoNotFit) {
  const auto shape = [](std::string_view extents) {
    return ErrorOfHeader(
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(extents) + "}");
  };
  EXPECT_THAT(shape("(4611686018427387904, 4)"), HasSubstr("too many elements"));
  EXPECT_THAT(shape("(4611686018427387905,)"), HasSubstr("tuple"));
  EXPECT_THAT(shape("(99999999999999999999,)"), HasSubstr("tuple"));
  EXPECT_THAT(shape("(2147483648,)"), HasSubstr("more than"));
  EXPECT_THAT(shape("(3,)"), HasSubstr("bytes"));
  EXPECT_THAT(shape("(-2,)"), HasSubstr("tuple"));
  EXPECT_THAT(shape("(1, 1, 1, 1, 2)"), HasSubstr("tuple"));
  EXPECT_THAT(shape("()"), HasSubstr("single number"));
}

TEST(NpyArrayTest, RefusesTypesItDoesNotKnow) {
  for (const char* descr : {">f4", "=f4", "<c8", "|O", "<U3", "<u4", "|i1", "f4", ""}) {
    EXPECT_THAT(ErrorOfHeader("{'descr': '" + std::string(descr) +
                              "', 'fortran_order': False, 'shape': (2,)}"),
                HasSubstr("element type"))
        << descr;
  }
}

// The bytes of a tensor of this type that holds `numbers`, under a header that says column-major.
std::string ColumnMajorFile(DataType type, const std::string& shape,
                            const std::vector<double>& numbers) {
  const std::string file =
      ToNpy(TensorValue::FromDoubles(type, {std::ssize(numbers)}, numbers).value());
  const size_t data_bytes = numbers.size() * ElementBytes(type);
  const size_t descr = file.find("'descr': '") + std::string_view("'descr': '").size();
  return File(
      1,
      "{'descr': '" + file.substr(descr, 3) + "', 'fortran_order': True, 'shape': " + shape + ", }",
      file.substr(file.size() - data_bytes));
}

TEST(NpyArrayTest, ReadsFortranOrderOfEveryTypeRowByRow) {
  for (const DataType type :
       {DataType::kF32, DataType::kF16, DataType::kF64, DataType::kInt32, DataType::kInt64}) {
    const auto array = ParseNpyArray(ColumnMajorFile(type, "(2, 3)", {1, 4, 2, 5, 3, 6}));
    ASSERT_TRUE(array.ok()) << Name(type) << array.status();
    EXPECT_EQ(*array, (Array{.shape = {2, 3}, .numbers = {1, 2, 3, 4, 5, 6}})) << Name(type);
  }
  EXPECT_EQ(ParseNpyArray(ColumnMajorFile(DataType::kBool, "(2, 3)", {1, 0, 1, 0, 0, 1})).value(),
            (Array{.shape = {2, 3}, .numbers = {1, 1, 0, 0, 0, 1}}));
}

TEST(NpyArrayTest, ReadsFortranOrderOfEveryNumberOfAxes) {
  const auto read = [](const std::string& shape, const std::vector<double>& numbers) {
    return ParseNpyArray(ColumnMajorFile(DataType::kF64, shape, numbers)).value();
  };
  EXPECT_EQ(read("(3,)", {1, 2, 3}), (Array{.shape = {3}, .numbers = {1, 2, 3}}));
  EXPECT_EQ(read("(0, 3)", {}), (Array{.shape = {0, 3}, .numbers = {}}));
  EXPECT_EQ(read("(1, 2, 3)", {1, 4, 2, 5, 3, 6}),
            (Array{.shape = {1, 2, 3}, .numbers = {1, 2, 3, 4, 5, 6}}));
  // The element at [i, j, k, l] is the number whose digits are i + 1, j + 1, k + 1 and l + 1.
  std::vector<double> column_major;
  std::vector<double> row_major;
  const Shape shape = {2, 3, 4, 5};
  const auto digits = [](int64_t i, int64_t j, int64_t k, int64_t l) {
    return static_cast<double>(1111 + 1000 * i + 100 * j + 10 * k + l);
  };
  for (int64_t l = 0; l < shape[3]; ++l)
    for (int64_t k = 0; k < shape[2]; ++k)
      for (int64_t j = 0; j < shape[1]; ++j)
        for (int64_t i = 0; i < shape[0]; ++i) column_major.push_back(digits(i, j, k, l));
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t j = 0; j < shape[1]; ++j)
      for (int64_t k = 0; k < shape[2]; ++k)
        for (int64_t l = 0; l < shape[3]; ++l) row_major.push_back(digits(i, j, k, l));
  EXPECT_EQ(read("(2, 3, 4, 5)", column_major), (Array{.shape = shape, .numbers = row_major}));
}

TEST(NpyArrayTest, RefusesHeadersThatAreNotTheOneDictionary) {
  const std::string_view headers[] = {
      "",
      "{",
      "{}",
      "{'descr': '<f4'}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + 1",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1}",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
      "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
      "{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{,}",
      "__import__('os')",
  };
  for (const std::string_view header : headers) EXPECT_NE(ErrorOfHeader(header), "") << header;
}

TEST(NpyArrayTest, RefusesABooleanThatIsNeitherZeroNorOneAndIntegersADoubleCannotHold) {
  const std::string_view integers = "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}";
  EXPECT_THAT(Error(File(1, integers, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8))),
              HasSubstr("2^53"));
  const std::string_view booleans = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_NE(Error(File(1, booleans, std::string("\x01\x02", 2))), "");
  EXPECT_EQ(Error(File(1, booleans, std::string("\x01\x00", 2))), "");
}

TEST(NpyHeaderTest, TakesKeysInAnyOrderAndAnyBlanks) {
  const auto header =
      ParseNpyHeader("  {\"shape\":(1,2,), 'fortran_order' :True,'descr':'<f8'}  \n");
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->descr, "<f8");
  EXPECT_TRUE(header->fortran_order);
  EXPECT_THAT(header->shape, ElementsAre(1, 2));
}

}  // namespace
}  // namespace attention::client
