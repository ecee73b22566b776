#include "server/layers/safetensors.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::BytesOf;
using test::HasCode;
using test::IsOk;
using test::Numbers;
using test::Safetensors;
using test::SafetensorsOf;
using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;

// One tensor "a" of two F32 numbers, with another description.
std::string OneTensor(const std::string& description, const std::string& elements = Numbers(2)) {
  return Safetensors("{\"a\":{" + description + "}}", elements);
}

constexpr char kGood[] = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

TEST(ParseSafetensorsTest, ReadsTensorsInAnyOrder) {
  const std::string file =
      Safetensors(R"({"b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},)"
                  R"("__metadata__":{"format":"pt"},)"
                  R"("layer/a:0":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   )",
                  Numbers(2) + std::string(6, 'x'));
  const auto tensors = ParseSafetensors(BytesOf(file));
  ASSERT_THAT(tensors, IsOk());
  ASSERT_EQ(tensors->size(), 2u);
  const StoredTensor& a = tensors->at("layer/a:0");
  EXPECT_EQ(a.type, kernels::DataType::kF32);
  EXPECT_THAT(a.shape, ElementsAre(1, 2));
  EXPECT_EQ(a.element_count(), 2);
  EXPECT_EQ(a.bytes.data(), BytesOf(file).data() + file.size() - 14);
  EXPECT_EQ(tensors->at("b").type, kernels::DataType::kF16);
  EXPECT_EQ(tensors->at("b").bytes.size(), 6u);
}

TEST(ParseSafetensorsTest, ReadsEveryTypeThatLayersHave) {
  const std::vector<std::pair<std::string, kernels::DataType>> types = {
      {"F32", kernels::DataType::kF32},
      {"F16", kernels::DataType::kF16},
      {"BF16", kernels::DataType::kBF16},
      {"F64", kernels::DataType::kF64}};
  for (const auto& [name, type] : types) {
    const std::string elements(2 * kernels::ElementBytes(type), '\0');
    const std::string file = SafetensorsOf({{"a", {2}, name, elements}});
    const auto tensors = ParseSafetensors(BytesOf(file));
    ASSERT_THAT(tensors, IsOk());
    EXPECT_EQ(tensors->at("a").type, type);
  }
}

TEST(ParseSafetensorsTest, ReadsAFileWithoutTensorsAndTensorsWithoutExtents) {
  EXPECT_THAT(ParseSafetensors(BytesOf(Safetensors("{}", ""))), IsOk());
  const std::string scalar = SafetensorsOf({{"a", {}}});
  EXPECT_THAT(ParseSafetensors(BytesOf(scalar)), IsOk());
}

struct Refusal {
  std::string file;
  std::string message;  // part of it
};

void ExpectRefused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(ParseSafetensors(BytesOf(refusal.file)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(refusal.message)));
  }
}

TEST(ParseSafetensorsTest, RefusesFilesThatTheirHeaderDoesNotFit) {
  std::string too_long = OneTensor(kGood);
  too_long[0] = static_cast<char>(200);
  std::string huge = OneTensor(kGood);
  huge[7] = '\x7f';
  std::string over_limit(8, '\0');
  over_limit[3] = '\x06';  // 100,663,296 bytes
  ExpectRefused({{"", "file: got 0 bytes, want >= 8"},
                 {"1234567", "file: got 7 bytes, want >= 8"},
                 {too_long, "header: got 200 bytes, want <= the"},
                 {huge, "header: got 9"},
                 {over_limit + std::string(1000, ' '), "want <= 100000000"}});
}

TEST(ParseSafetensorsTest, RefusesHeadersThatAreNotOneObjectOfJson) {
  const std::string elements = Numbers(2);
  const std::string entry = std::string("\"a\":{") + kGood + "}";
  const std::string beginning_or_end = "header: got another beginning or end";
  ExpectRefused({
      {Safetensors("", ""), beginning_or_end},
      {Safetensors("    ", ""), beginning_or_end},
      {Safetensors(" {" + entry + "}", elements), beginning_or_end},
      {Safetensors("\xef\xbb\xbf{" + entry + "}", elements), beginning_or_end},
      {Safetensors("[]", ""), beginning_or_end},
      {Safetensors("{" + entry + "}\n", elements), beginning_or_end},
      {Safetensors("{" + entry + "}\t ", elements), beginning_or_end},
      {Safetensors("{" + entry + "} x", elements), beginning_or_end},
      {Safetensors("{" + entry + "}" + std::string(8, '\0'), elements), beginning_or_end},
      {Safetensors("{" + entry + "}" + std::string(1, '\0') + "}", elements), "NUL"},
      {Safetensors("{" + entry + "}{}", elements), "want JSON"},
      {Safetensors("{" + entry + ",}", elements), "want JSON"},
      {Safetensors("{\"\xff\":{}}", ""), "want JSON"},
  });
}

TEST(ParseSafetensorsTest, RefusesWhatReadersUnderstandDifferently) {
  const std::string entry = std::string("\"a\":{") + kGood + "}";
  ExpectRefused({
      {Safetensors("{" + entry + "," + entry + "}", Numbers(2)), "got 'a' twice"},
      {OneTensor(R"("dtype":"F64","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
       "got 'dtype' twice"},
      {Safetensors("{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}," + entry + "}", Numbers(2)),
       "got 'x' twice"},
      {OneTensor(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), "more than 3"},
      {OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)"),
       "got 4 fields, want dtype, shape and data_offsets"},
  });
}

TEST(ParseSafetensorsTest, RefusesDescriptionsThatLackAField) {
  ExpectRefused({{OneTensor(R"("shape":[2],"data_offsets":[0,8])"), "tensor 'a': got no dtype"},
                 {OneTensor(R"("dtype":"F32","data_offsets":[0,8])"), "got no shape"},
                 {OneTensor(R"("dtype":"F32","shape":[2])"), "got no data_offsets"},
                 {Safetensors(R"({"a":1})", ""), "tensor 'a': got no object"}});
}

TEST(ParseSafetensorsTest, RefusesTypesThatLayersDoNotHave) {
  for (const char* const type : {"\"I64\"", "\"BOOL\"", "\"F8_E4M3\"", "\"f32\"", "\"\"", "1"}) {
    ExpectRefused(
        {{OneTensor(std::string("\"dtype\":") + type + R"(,"shape":[2],"data_offsets":[0,8])"),
          "tensor 'a': dtype: got another, want F32, F16, BF16 or F64"}});
  }
}

TEST(ParseSafetensorsTest, RefusesShapesThatAreNone) {
  for (const char* const shape :
       {"2", "\"2\"", "[-2]", "[2.0]", "[2e0]", "[\"2\"]", "[null]", "[18446744073709551616]"}) {
    ExpectRefused({{OneTensor(std::string("\"dtype\":\"F32\",\"shape\":") + shape +
                              ",\"data_offsets\":[0,8]"),
                    "tensor 'a': shape: got"}});
  }
  const auto with_shape = [](const std::string& shape) {
    return OneTensor("\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":[0,8]");
  };
  ExpectRefused({{with_shape("[4294967296,4294967296]"), "2^63 bytes or more"},
                 {with_shape("[9223372036854775807]"), "2^63 bytes or more"},
                 {with_shape("[2,1,1,1,1,1,1,1,1]"), "got 9 extents, want <= 8"},
                 {with_shape("[3]"), "data_offsets: got 8 bytes, want 12"},
                 {with_shape("[1]"), "data_offsets: got 8 bytes, want 4"}});
}

// Empty tensors can share an offset with others, and hide behind them.
TEST(ParseSafetensorsTest, RefusesTensorsWithoutElements) {
  ExpectRefused(
      {{OneTensor(R"("dtype":"F32","shape":[0],"data_offsets":[0,0])", ""), "got no elements"},
       {OneTensor(R"("dtype":"F32","shape":[4611686018427387904,0,8],"data_offsets":[0,0])", ""),
        "tensor 'a': shape: got"}});
}

TEST(ParseSafetensorsTest, RefusesOffsetsThatAreNone) {
  const auto with_offsets = [](const std::string& offsets) {
    return OneTensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + offsets);
  };
  ExpectRefused({{with_offsets("8"), "got no array"},
                 {with_offsets("[8]"), "got 1 numbers, want 2"},
                 {with_offsets("[0,8,8]"), "got 3 numbers, want 2"},
                 {with_offsets("[0,8.0]"), "want whole numbers"},
                 {with_offsets("[-8,0]"), "want whole numbers"},
                 {with_offsets("[8,0]"), "a beginning behind the end"},
                 {with_offsets("[0,9]"), "got the end 9, want <= 8"},
                 {with_offsets("[8,16]"), "got the end 16, want <= 8"},
                 {with_offsets("[0,9223372036854775807]"), "want <= 8"},
                 {with_offsets("[0,7]"), "got 7 bytes, want 8"}});
}

TEST(ParseSafetensorsTest, RefusesElementsThatDoNotFillTheFileOnce) {
  const auto two = [](const std::string& a, const std::string& b, int64_t count) {
    const std::string head = R"(:{"dtype":"F32","shape":[2],"data_offsets":)";
    return Safetensors("{\"a\"" + head + a + "},\"b\"" + head + b + "}}", Numbers(count));
  };
  ExpectRefused({{two("[0,8]", "[4,12]", 3), "an overlap"},
                 {two("[0,8]", "[0,8]", 2), "an overlap"},
                 {two("[0,8]", "[12,20]", 5), "a hole"},
                 {two("[4,12]", "[12,20]", 5), "a hole"},
                 {OneTensor(kGood, Numbers(3)), "file: got 4 bytes behind the last tensor"},
                 {Safetensors("{}", "x"), "file: got 1 bytes behind the last tensor"}});
}

TEST(ParseSafetensorsTest, RefusesMetadataThatIsNotOfTexts) {
  for (const char* const metadata : {"1", "[]", "{\"a\":1}", "{\"a\":{}}", "null"}) {
    ExpectRefused({{Safetensors(std::string("{\"__metadata__\":") + metadata + "}", ""),
                    "__metadata__: got something else"}});
  }
}

TEST(ParseSafetensorsTest, RefusesOtherNames) {
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\\n"), std::string("\\u00e9"),
        std::string("a\\u0000"), std::string(257, 'a')}) {
    ExpectRefused({{Safetensors("{\"" + name + "\":{" + kGood + "}}", Numbers(2)),
                    "header: got another name"}});
  }
}

TEST(ParseSafetensorsTest, RefusesTooManyTensors) {
  const auto count_of = [](int64_t count) {
    std::vector<test::NamedTensor> tensors;
    for (int64_t i = 0; i < count; ++i) tensors.push_back({absl::StrCat("t", i), {1}});
    return SafetensorsOf(tensors);
  };
  EXPECT_THAT(ParseSafetensors(BytesOf(count_of(1024))), IsOk());
  ExpectRefused({{count_of(1025), "1025 tensors, want <= 1024"}});
  EXPECT_THAT(ParseSafetensors(BytesOf(count_of(10'000))), HasCode(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace attention::server
