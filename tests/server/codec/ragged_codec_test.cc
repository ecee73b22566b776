#include "server/codec/ragged_codec.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::Floats;
using test::IsOk;
using test::StatusIs;
using test::Zeros;
using testing::ElementsAre;

using Request = v1::ScaledDotProductAttentionRequest;
using Change = std::function<void(Request&)>;

v1::Tensor Integers(const std::vector<float>& numbers, v1::DataType type = v1::DATA_TYPE_INT32) {
  return Floats({static_cast<int64_t>(numbers.size())}, numbers, type);
}

// Three sequences of 2, 0 and 3 queries and 1, 4 and 3 keys; 4 query and 2 key-value heads.
Request Ragged() {
  Request request;
  *request.mutable_query() = Zeros({5, 4, 8});
  *request.mutable_key() = Zeros({8, 2, 8});
  *request.mutable_value() = Zeros({8, 2, 6});
  request.set_layout(v1::LAYOUT_SEQUENCE_FIRST);
  *request.mutable_query_starts() = Integers({0, 2, 2, 5});
  *request.mutable_key_starts() = Integers({0, 1, 5, 8}, v1::DATA_TYPE_INT64);
  return request;
}

// As many queries as keys in each sequence.
Request RaggedOfEqualCounts() {
  Request request = Ragged();
  *request.mutable_query() = Zeros({8, 4, 8});
  *request.mutable_query_starts() = Integers({0, 1, 5, 8});
  return request;
}

TEST(DecodeRaggedTest, ReadsWhereSequencesStart) {
  const auto decoded = DecodeRequest(Ragged());
  ASSERT_THAT(decoded, IsOk());
  const AttentionTask& task = decoded->task;
  ASSERT_TRUE(task.ragged.has_value());
  EXPECT_THAT(task.ragged->query_starts, ElementsAre(0, 2, 2, 5));
  EXPECT_THAT(task.ragged->key_starts, ElementsAre(0, 1, 5, 8));
  EXPECT_EQ(ProblemCount(task), 3);
  EXPECT_EQ(ProblemOf(task, 2).query.extents, (Extents{1, 4, 3, 8}));
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(5, 4, 6));
  EXPECT_TRUE(Validate(task).ok()) << Validate(task);
}

TEST(DecodeRaggedTest, ReadsPackedSequencesToo) {
  Request request = Ragged();
  *request.mutable_query() = Zeros({5, 32});
  *request.mutable_key() = Zeros({8, 16});
  *request.mutable_value() = Zeros({8, 12});
  request.set_layout(v1::LAYOUT_PACKED);
  request.set_head_count(4);
  request.set_key_value_head_count(2);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(ProblemOf(decoded->task, 1).key.extents, (Extents{1, 2, 4, 8}));
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(5, 24));
  EXPECT_TRUE(Validate(decoded->task).ok()) << Validate(decoded->task);
}

std::vector<int64_t> OffsetsOf(const AttentionTask& task) {
  std::vector<int64_t> offsets;
  for (int64_t s = 0; s < ProblemCount(task); ++s) {
    offsets.push_back(ProblemOf(task, s).query_offset);
  }
  return offsets;
}

TEST(DecodeRaggedTest, AlignsCausalityInEachSequence) {
  Request request = Ragged();
  v1::Causal& causal = *request.mutable_options()->mutable_causal();
  causal.set_alignment(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
  const auto bottom_right = DecodeRequest(request);
  ASSERT_THAT(bottom_right, IsOk());
  EXPECT_THAT(OffsetsOf(bottom_right->task), ElementsAre(1 - 2, 4 - 0, 3 - 3));
  EXPECT_TRUE(Validate(bottom_right->task).ok()) << Validate(bottom_right->task);

  causal.set_alignment(v1::CAUSAL_ALIGNMENT_TOP_LEFT);
  const auto top_left = DecodeRequest(request);
  ASSERT_THAT(top_left, IsOk());
  EXPECT_THAT(OffsetsOf(top_left->task), ElementsAre(0, 0, 0));

  causal.set_alignment(v1::CAUSAL_ALIGNMENT_KEY_LENGTHS);
  *request.mutable_options()->mutable_key_lengths() = Integers({0, 3, 3});
  const auto key_lengths = DecodeRequest(request);
  ASSERT_THAT(key_lengths, IsOk());
  EXPECT_THAT(OffsetsOf(key_lengths->task), ElementsAre(0 - 2, 3 - 0, 3 - 3));
}

TEST(DecodeRaggedTest, NeedsNoAlignmentWhereCountsAreEqualInEachSequence) {
  Request request = RaggedOfEqualCounts();
  request.mutable_options()->mutable_causal();
  EXPECT_THAT(DecodeRequest(request), IsOk());
  *request.mutable_query_starts() = Integers({0, 1, 4, 8});  // as many in all, but not in each
  EXPECT_THAT(DecodeRequest(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.causal.alignment: got CAUSAL_ALIGNMENT_UNSPECIFIED, want another, "
                       "since sequence 1 has 3 queries and 4 keys"));
}

TEST(DecodeRaggedTest, TakesALengthForEachSequence) {
  Request request = Ragged();
  *request.mutable_options()->mutable_key_lengths() = Integers({1, 2, 3});
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_THAT(ProblemOf(decoded->task, 1).key_lengths, ElementsAre(2));
  *request.mutable_options()->mutable_key_lengths() = Integers({1, 5, 3});
  EXPECT_THAT(DecodeRequest(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.key_lengths: got another length at element 1, want 0 to 4"));
  *request.mutable_options()->mutable_key_lengths() = Integers({1});
  EXPECT_THAT(DecodeRequest(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.key_lengths.shape[0]: got 1, want 3 as in the sequences"));
}

TEST(DecodeRaggedTest, RefusesWhatContradictsTheContract) {
  const auto query_starts = [](std::vector<float> starts) -> Change {
    return [=](Request& request) { *request.mutable_query_starts() = Integers(starts); };
  };
  const std::vector<std::pair<Change, std::string>> refusals = {
      {[](Request& r) { r.clear_query_starts(); },
       "query_starts: got nothing, want both query_starts and key_starts, or neither"},
      {[](Request& r) { r.clear_key_starts(); },
       "key_starts: got nothing, want both query_starts and key_starts, or neither"},
      {[](Request& r) { *r.mutable_key_starts() = Zeros({4}); },
       "key_starts.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32 or DATA_TYPE_INT64"},
      {[](Request& r) { *r.mutable_key_starts() = Zeros({1, 4}, v1::DATA_TYPE_INT32); },
       "key_starts.shape: got rank 2, want 1"},
      {query_starts({0}), "query_starts.shape[0]: got 1, want >= 2"},
      {query_starts({}), "query_starts.shape[0]: got 0, want >= 2"},
      {[](Request& r) { *r.mutable_query_starts() = Zeros({65538}, v1::DATA_TYPE_INT32); },
       "query_starts.shape[0]: got 65538, want <= 65537"},
      {query_starts({1, 2, 2, 5}), "query_starts: got another number at element 0, want 0"},
      {query_starts({0, 3, 2, 5}),
       "query_starts: got another number at element 2, want none before the one before it"},
      {query_starts({0, -1, 2, 5}),
       "query_starts: got another number at element 1, want none before the one before it"},
      {query_starts({0, 2, 2, 4}),
       "query_starts: got another number at element 3, want 5 as in query.shape[0]"},
      {query_starts({0, 2, 2, 6}),
       "query_starts: got another number at element 3, want 5 as in query.shape[0]"},
      {query_starts({0, 5}), "key_starts.shape[0]: got 4, want 2 as in query_starts"},
      {[](Request& r) {
         *r.mutable_query() = Zeros({4, 5, 8});
         *r.mutable_key() = Zeros({2, 8, 8});
         *r.mutable_value() = Zeros({2, 8, 6});
         r.set_layout(v1::LAYOUT_UNSPECIFIED);
       },
       "layout: got LAYOUT_UNSPECIFIED, want LAYOUT_SEQUENCE_FIRST or LAYOUT_PACKED with "
       "query_starts"},
      {[](Request& r) { r.set_layout(v1::LAYOUT_HEADS_FIRST); },  // 5 and 8 heads: not to blame
       "layout: got LAYOUT_HEADS_FIRST, want LAYOUT_SEQUENCE_FIRST or LAYOUT_PACKED with "
       "query_starts"},
      {[](Request& r) {
         *r.mutable_query() = Zeros({1, 5, 4, 8});
         *r.mutable_key() = Zeros({1, 8, 2, 8});
         *r.mutable_value() = Zeros({1, 8, 2, 6});
       },
       "query.shape: got rank 4, want 3 with query_starts"},
  };
  for (const auto& [change, message] : refusals) {
    Request request = Ragged();
    change(request);
    EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument, message));
  }
}

TEST(DecodeRaggedTest, DoesNotOfferWhatHasNoPlaceForSequences) {
  const auto option = [](const std::function<void(v1::AttentionOptions&)>& change) -> Change {
    return [=](Request& request) { change(*request.mutable_options()); };
  };
  const v1::Tensor mask = Zeros({1}, v1::DATA_TYPE_BOOL);
  const std::vector<std::pair<Change, std::string>> refusals = {
      {[](Request& r) {
         *r.mutable_past_key() = Zeros({2, 3, 8});
         *r.mutable_past_value() = Zeros({2, 3, 6});
       },
       "past_key"},
      {[](Request& r) { r.set_return_present(true); }, "return_present"},
      {option([&](auto& o) { *o.mutable_boolean_mask() = mask; }), "options.boolean_mask"},
      {option([](auto& o) { *o.mutable_additive_mask() = Zeros({1}); }), "options.additive_mask"},
      {option([](auto& o) { *o.mutable_multiplicative_mask() = Zeros({1}); }),
       "options.multiplicative_mask"},
      {option([&](auto& o) { *o.mutable_block_mask()->mutable_mask() = mask; }),
       "options.block_mask"},
      {option([](auto& o) { *o.mutable_query_segments() = Integers({0, 0, 0, 0, 0}); }),
       "options.query_segments"},
      {option([](auto& o) { *o.mutable_key_segments() = Integers({0, 0, 0, 0, 0, 0, 0, 0}); }),
       "options.key_segments"},
      {option([](auto& o) { o.set_return_weights(true); }), "options.return_weights"},
      {option([](auto& o) { o.set_return_scores(v1::SCORES_KIND_RAW); }), "options.return_scores"},
  };
  for (const auto& [change, field] : refusals) {
    Request request = Ragged();
    change(request);
    EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kUnimplemented,
                                                 field + ": not offered with query_starts"));
  }
}

}  // namespace
}  // namespace attention::server
