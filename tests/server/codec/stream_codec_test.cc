#include "server/codec/stream_codec.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::IsOk;
using test::StatusIs;
using test::Zeros;
using testing::HasSubstr;

using Request = v1::ScaledDotProductAttentionRequest;

// 4 query and 2 key-value heads.
Request Step(int64_t query_count, int64_t key_count) {
  Request request;
  *request.mutable_query() = Zeros({4, query_count, 8});
  *request.mutable_key() = Zeros({2, key_count, 8});
  *request.mutable_value() = Zeros({2, key_count, 6});
  return request;
}

class StreamCodecTest : public testing::Test {
 protected:
  // Decodes a request, and appends its rows as a stream does.
  absl::StatusOr<DecodedRequest> Take(const Request& request) {
    StreamDecoding stream{.cache = cache_, .added = {}};
    auto decoded = DecodeStreamedRequest(request, stream);
    if (!decoded.ok()) return decoded.status();
    for (const KeyValueRows& rows : stream.added) {
      EXPECT_THAT(cache_.Append(rows.key, rows.value), IsOk());
    }
    return decoded;
  }

  void ExpectRefused(const Request& request, const std::string& message) {
    EXPECT_THAT(Take(request), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }

  ByteBudget budget_{int64_t{1} << 30};
  KeyValueCache cache_{budget_};
};

TEST_F(StreamCodecTest, ATaskHasTheKeysOfAllRequestsSoFar) {
  Request first = Step(3, 5);
  *first.mutable_past_key() = Zeros({2, 7, 8});
  *first.mutable_past_value() = Zeros({2, 7, 6});
  auto decoded = Take(first);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{1, 2, 12, 8}));
  EXPECT_EQ(decoded->task.value.view.extents, (Extents{1, 2, 12, 6}));
  EXPECT_TRUE(decoded->task.key.ready());
  decoded = Take(Step(1, 1));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{1, 2, 13, 8}));
  EXPECT_THAT(decoded->response_form.matrix_shape, testing::ElementsAre(4, 1, 13));
}

TEST_F(StreamCodecTest, LayoutsMayChange) {
  ASSERT_THAT(Take(Step(1, 2)), IsOk());
  Request packed;
  *packed.mutable_query() = Zeros({1, 32});
  *packed.mutable_key() = Zeros({1, 16});
  *packed.mutable_value() = Zeros({1, 12});
  packed.set_layout(v1::LAYOUT_PACKED);
  packed.set_head_count(4);
  packed.set_key_value_head_count(2);
  const auto decoded = Take(packed);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{1, 2, 3, 8}));
}

TEST_F(StreamCodecTest, RefusesWhatTheStreamKeepsItself) {
  Request request = Step(1, 1);
  request.set_return_present(true);
  ExpectRefused(request, "return_present: got true, want false in DecodeAttention");
  request = Step(1, 1);
  *request.mutable_query_starts() = Zeros({2});
  ExpectRefused(request, "query_starts: got a tensor, want nothing in DecodeAttention");
  request = Step(1, 1);
  *request.mutable_key_starts() = Zeros({2});
  ExpectRefused(request, "key_starts: got a tensor, want nothing in DecodeAttention");

  ASSERT_THAT(Take(Step(1, 1)), IsOk());
  request = Step(1, 1);
  *request.mutable_past_key() = Zeros({2, 7, 8});
  *request.mutable_past_value() = Zeros({2, 7, 6});
  ExpectRefused(request, "past_key: got a tensor, want nothing after the stream's first request");
}

TEST_F(StreamCodecTest, RefusesRowsThatAreUnlikeTheFirst) {
  ASSERT_THAT(Take(Step(1, 1)), IsOk());
  Request request = Step(1, 1);
  *request.mutable_query() = Zeros({4, 1, 4});
  *request.mutable_key() = Zeros({2, 1, 4});
  ExpectRefused(request, "key.shape[2]: got 4, want 8 as in the stream's first request");
  request = Step(1, 1);
  *request.mutable_value() = Zeros({2, 1, 5});
  ExpectRefused(request, "value.shape[2]: got 5, want 6 as in the stream's first request");
  request = Step(1, 1);
  *request.mutable_key() = Zeros({4, 1, 8});
  *request.mutable_value() = Zeros({4, 1, 6});
  ExpectRefused(request, "key.shape[0]: got 4, want 2 as in the stream's first request");
  request = Step(1, 1);
  *request.mutable_query() = Zeros({2, 4, 1, 8});
  *request.mutable_key() = Zeros({2, 2, 1, 8});
  *request.mutable_value() = Zeros({2, 2, 1, 6});
  ExpectRefused(request, "key.shape[0]: got 2, want 1 as in the stream's first request");
}

TEST_F(StreamCodecTest, RefusesAnotherDataType) {
  ASSERT_THAT(Take(Step(1, 1)), IsOk());
  Request request = Step(1, 1);
  for (v1::Tensor* tensor :
       {request.mutable_query(), request.mutable_key(), request.mutable_value()}) {
    tensor->set_data_type(v1::DATA_TYPE_F64);
    tensor->mutable_raw()->resize(2 * tensor->raw().size());
  }
  ExpectRefused(request, "key.data_type: got DATA_TYPE_F64, want the type of the stream's first");
}

}  // namespace
}  // namespace attention::server
