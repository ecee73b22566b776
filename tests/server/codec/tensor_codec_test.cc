#include "server/codec/tensor_codec.h"

#include <bit>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::Floats;
using test::IsOk;
using test::Raw;
using test::StatusIs;
using test::Zeros;

class TensorReaderTest : public testing::Test {
 protected:
  absl::StatusOr<WireTensor> Read(const v1::Tensor& tensor) {
    return reader_.Read(tensor, "query");
  }

  std::vector<Buffer> storage_;
  TensorReader reader_{storage_};
};

template <typename Element>
std::vector<Element> Elements(const WireTensor& tensor) {
  std::vector<Element> elements(static_cast<size_t>(tensor.element_count));
  std::memcpy(elements.data(), tensor.data, elements.size() * sizeof(Element));
  return elements;
}

TEST_F(TensorReaderTest, ReadsRawElementsInPlace) {
  const v1::Tensor tensor = Raw<float>({2, 3}, {1, 2, 3, 4, 5, 6}, v1::DATA_TYPE_F32);
  const auto read = Read(tensor);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->data, tensor.raw().data());
  EXPECT_TRUE(storage_.empty());
  EXPECT_EQ(read->rank, 2);
  EXPECT_EQ(read->shape[0], 2);
  EXPECT_EQ(read->shape[1], 3);
  EXPECT_EQ(read->element_count, 6);
  EXPECT_EQ(read->type, v1::DATA_TYPE_F32);
}

TEST_F(TensorReaderTest, ReadsF32FloatsInPlace) {
  const v1::Tensor tensor = Floats({3}, {1, 2, 3});
  const auto read = Read(tensor);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->data, tensor.floats().data());
  EXPECT_TRUE(storage_.empty());
}

TEST_F(TensorReaderTest, TakesAnUnspecifiedTypeForF32) {
  v1::Tensor tensor = Zeros({2});
  tensor.clear_data_type();
  const auto read = Read(tensor);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->type, v1::DATA_TYPE_F32);
}

TEST_F(TensorReaderTest, KeepsNanAndInfinity) {
  const std::vector<uint32_t> bits = {0x7fc00001U, 0x7f800000U, 0xff800000U};
  const v1::Tensor tensor = Raw(std::vector<int64_t>{3}, bits, v1::DATA_TYPE_F32);
  const auto read = Read(tensor);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(Elements<uint32_t>(*read), bits);
}

TEST_F(TensorReaderTest, ConvertsFloatsToEveryType) {
  const auto f64 = Read(Floats({2}, {0.1F, -3}, v1::DATA_TYPE_F64));
  ASSERT_THAT(f64, IsOk());
  EXPECT_EQ(Elements<double>(*f64), (std::vector<double>{static_cast<double>(0.1F), -3}));
  const auto f16 = Read(Floats({2}, {1.5F, -2}, v1::DATA_TYPE_F16));
  ASSERT_THAT(f16, IsOk());
  EXPECT_EQ(Elements<uint16_t>(*f16), (std::vector<uint16_t>{0x3e00, 0xc000}));
  const auto bf16 = Read(Floats({2}, {1.5F, -2}, v1::DATA_TYPE_BF16));
  ASSERT_THAT(bf16, IsOk());
  EXPECT_EQ(Elements<uint16_t>(*bf16), (std::vector<uint16_t>{0x3fc0, 0xc000}));
  const auto boolean = Read(Floats({2}, {0, 1}, v1::DATA_TYPE_BOOL));
  ASSERT_THAT(boolean, IsOk());
  EXPECT_EQ(Elements<uint8_t>(*boolean), (std::vector<uint8_t>{0, 1}));
  const auto int32 = Read(Floats({2}, {-7, 9}, v1::DATA_TYPE_INT32));
  ASSERT_THAT(int32, IsOk());
  EXPECT_EQ(Elements<int32_t>(*int32), (std::vector<int32_t>{-7, 9}));
  const auto int64 = Read(Floats({2}, {-7, 9}, v1::DATA_TYPE_INT64));
  ASSERT_THAT(int64, IsOk());
  EXPECT_EQ(Elements<int64_t>(*int64), (std::vector<int64_t>{-7, 9}));
}

TEST_F(TensorReaderTest, GivesEmptyTensorsAnAddress) {
  for (const v1::DataType type : {v1::DATA_TYPE_F32, v1::DATA_TYPE_BOOL, v1::DATA_TYPE_INT64}) {
    const auto read = Read(Zeros({2, 0, 4}, type));
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->element_count, 0);
    EXPECT_NE(read->data, nullptr);
  }
}

TEST_F(TensorReaderTest, RemembersWhetherAllElementsCameAsFloats) {
  EXPECT_FALSE(reader_.floats_only());
  ASSERT_THAT(Read(Zeros({0, 3})), IsOk());
  EXPECT_FALSE(reader_.floats_only()) << "nothing had elements yet";
  ASSERT_THAT(Read(Floats({1}, {1})), IsOk());
  EXPECT_TRUE(reader_.floats_only());
  ASSERT_THAT(Read(Zeros({0})), IsOk());
  EXPECT_TRUE(reader_.floats_only()) << "a tensor without elements has no form";
  ASSERT_THAT(Read(Zeros({1})), IsOk());
  EXPECT_FALSE(reader_.floats_only());
}

struct Refusal {
  std::string name;
  v1::Tensor tensor;
  std::string message;
};

v1::Tensor With(v1::Tensor tensor, const std::function<void(v1::Tensor&)>& change) {
  change(tensor);
  return tensor;
}

v1::Tensor Shaped(const std::vector<int64_t>& shape) {
  v1::Tensor tensor;
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  return tensor;
}

std::vector<Refusal> Refusals() {
  constexpr int64_t kHuge = int64_t{1} << 62;
  return {
      {"both contents", With(Zeros({1}), [](v1::Tensor& t) { t.add_floats(0); }),
       "query: got both raw and floats, want one of them"},
      {"no shape", Shaped({}), "query.shape: got rank 0, want 1 to 4"},
      {"rank 5", Zeros({1, 1, 1, 1, 1}), "query.shape: got rank 5, want 1 to 4"},
      {"a negative extent", Shaped({2, -1}), "query.shape[1]: got -1, want >= 0"},
      {"too many elements", Shaped({65536, 32768}),
       "query.shape: got [65536, 32768], want at most 2147483647 elements"},
      {"a product beyond 64 bits", Shaped({kHuge, 4, 4}),
       "query.shape: got [4611686018427387904, 4, 4], want at most 2147483647 elements"},
      {"a product that wraps to 0", Shaped({int64_t{1} << 32, int64_t{1} << 32}),
       "query.shape: got [4294967296, 4294967296], want at most 2147483647 elements"},
      {"an overflow behind a 0", Shaped({0, kHuge, 8}),
       "query.shape: got [0, 4611686018427387904, 8], want at most 2147483647 elements"},
      {"no contents", Shaped({2, 3}), "query.raw: got 0 bytes, want 24 for DATA_TYPE_F32 [2, 3]"},
      {"raw too short", With(Zeros({2}), [](v1::Tensor& t) { t.mutable_raw()->pop_back(); }),
       "query.raw: got 7 bytes, want 8 for DATA_TYPE_F32 [2]"},
      {"raw too long",
       With(Zeros({2}, v1::DATA_TYPE_F16), [](v1::Tensor& t) { t.mutable_raw()->push_back('x'); }),
       "query.raw: got 5 bytes, want 4 for DATA_TYPE_F16 [2]"},
      {"raw in an empty tensor", With(Zeros({0}), [](v1::Tensor& t) { t.set_raw("x"); }),
       "query.raw: got 1 bytes, want 0 for DATA_TYPE_F32 [0]"},
      {"too few floats", Floats({2}, {1}), "query.floats: got 1 numbers, want 2 for [2]"},
      {"floats in an empty tensor", Floats({0}, {1}),
       "query.floats: got 1 numbers, want 0 for [0]"},
      {"a BOOL byte of 2", Raw<uint8_t>({3}, {0, 1, 2}, v1::DATA_TYPE_BOOL),
       "query.raw: got another byte at element 2, want 0 or 1"},
      {"a BOOL number of 0.5", Floats({2}, {1, 0.5F}, v1::DATA_TYPE_BOOL),
       "query.floats: got another number at element 1, want 0 or 1"},
      {"half an INT32", Floats({1}, {1.5F}, v1::DATA_TYPE_INT32),
       "query.floats: got another number at element 0, want a whole number within DATA_TYPE_INT32"},
      {"an INT32 of 2^31", Floats({1}, {2147483648.0F}, v1::DATA_TYPE_INT32),
       "query.floats: got another number at element 0, want a whole number within DATA_TYPE_INT32"},
      {"an INT64 that is no number",
       Floats({1}, {std::bit_cast<float>(0x7fc00000U)}, v1::DATA_TYPE_INT64),
       "query.floats: got another number at element 0, want a whole number within DATA_TYPE_INT64"},
      {"an unknown type",
       With(Zeros({1}), [](v1::Tensor& t) { t.set_data_type(static_cast<v1::DataType>(99)); }),
       "query.data_type: got 99, want 0 to 7"},
  };
}

TEST_F(TensorReaderTest, RefusesWhatContradictsItself) {
  for (const Refusal& refusal : Refusals()) {
    EXPECT_THAT(Read(refusal.tensor), StatusIs(absl::StatusCode::kInvalidArgument, refusal.message))
        << refusal.name;
  }
}

TEST_F(TensorReaderTest, AllocatesNothingForARefusedShape) {
  (void)Read(Shaped({65536, 32767}));  // 8 GiB that are not there
  EXPECT_TRUE(storage_.empty());
}

TEST(AlignedOrCopiedTest, CopiesOnlyWhatIsNotAligned) {
  alignas(8) char bytes[16] = "0123456789abcde";
  std::vector<Buffer> storage;
  EXPECT_EQ(AlignedOrCopied(bytes, 8, 8, storage), bytes);
  EXPECT_EQ(AlignedOrCopied(bytes + 3, 5, 1, storage), bytes + 3);
  EXPECT_TRUE(storage.empty());
  const void* const copy = AlignedOrCopied(bytes + 3, 8, 4, storage);
  ASSERT_EQ(storage.size(), 1U);
  EXPECT_EQ(copy, storage[0].data());
  EXPECT_EQ(std::memcmp(copy, "3456789a", 8), 0);
}

TEST(TypesTest, WireAndKernelTypesAreInverse) {
  for (const kernels::DataType type :
       {kernels::DataType::kF32, kernels::DataType::kF16, kernels::DataType::kBF16,
        kernels::DataType::kF64, kernels::DataType::kBool}) {
    EXPECT_EQ(KernelType(WireType(type)), type);
  }
  EXPECT_EQ(KernelType(v1::DATA_TYPE_INT32), std::nullopt);
  EXPECT_EQ(KernelType(v1::DATA_TYPE_INT64), std::nullopt);
}

TEST(ConvertedBytesTest, CountsWhatFloatsOfOtherTypesBecome) {
  v1::CrossAttentionRequest request;
  const auto add = [](v1::Tensor& tensor, v1::DataType type) {
    tensor.set_data_type(type);
    tensor.mutable_floats()->Resize(10, 1);
  };
  EXPECT_EQ(ConvertedBytes(request), 0);
  add(*request.mutable_query_embeddings(), v1::DATA_TYPE_F32);
  add(*request.mutable_memory_embeddings(), v1::DATA_TYPE_UNSPECIFIED);
  EXPECT_EQ(ConvertedBytes(request), 0);
  add(*request.mutable_query_embeddings(), v1::DATA_TYPE_F64);
  EXPECT_EQ(ConvertedBytes(request), 80);
  add(*request.mutable_options()->mutable_boolean_mask(), v1::DATA_TYPE_BOOL);
  EXPECT_EQ(ConvertedBytes(request), 90);
  v1::MergeAttentionStatesRequest merge;
  for (int state = 0; state < 3; ++state) {
    add(*merge.add_states()->mutable_output(), v1::DATA_TYPE_BF16);
  }
  EXPECT_EQ(ConvertedBytes(merge), 60);
}

}  // namespace
}  // namespace attention::server
