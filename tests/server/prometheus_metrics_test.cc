#include "server/prometheus_metrics.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::server {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class PrometheusMetricsTest : public testing::Test {
 protected:
  // Whether a line of the text says `line`.
  [[nodiscard]] bool Says(const std::string& line) const {
    return ("\n" + metrics_.Text()).find("\n" + line + "\n") != std::string::npos;
  }

  PrometheusMetrics metrics_{{"1.2.3", "fused-avx2", "avx2", "1.51.1"}, 7};
};

TEST_F(PrometheusMetricsTest, HasEverySeriesFromTheStart) {
  const std::string text = metrics_.Text();
  for (const char* method :
       {"SelfAttention", "MaskedAttention", "MultiHeadAttention", "CrossAttention",
        "ScaledDotProductAttention", "ApplyRotaryEmbedding", "MergeAttentionStates"}) {
    for (const char* code : {"ok", "cancelled", "invalid_argument", "deadline_exceeded",
                             "resource_exhausted", "unimplemented", "unavailable", "internal"}) {
      EXPECT_TRUE(Says(std::string("attention_requests_total{code=\"") + code + "\",method=\"" +
                       method + "\"} 0"))
          << method << " " << code;
    }
    EXPECT_TRUE(Says(std::string("attention_compute_seconds_count{method=\"") + method + "\"} 0"));
    EXPECT_TRUE(Says(std::string("attention_request_seconds_count{method=\"") + method + "\"} 0"));
  }
  for (const char* reason : {"malformed", "invalid", "unknown_field", "over_limit",
                             "bytes_in_flight", "queue_full", "cache_full", "draining"}) {
    EXPECT_TRUE(Says(std::string("attention_rejected_total{reason=\"") + reason + "\"} 0"));
  }
  for (const char* implementation : {"fused-amx", "fused-avx512-bf16", "fused-avx512", "fused-avx2",
                                     "unfused-float64", "elementwise"}) {
    for (const char* precision : {"f32", "bf16_x6", "bf16_x3", "bf16", "f64"}) {
      EXPECT_TRUE(Says(std::string("attention_computations_total{implementation=\"") +
                       implementation + "\",precision=\"" + precision + "\"} 0"))
          << implementation << " " << precision;
    }
  }
  for (const char* line :
       {"attention_requests_in_flight 0", "attention_queue_depth 0",
        "attention_queue_wait_seconds_count 0", "attention_request_bytes_count 0",
        "attention_response_bytes_count 0", "attention_flops_total 0",
        "attention_sequence_length_count{role=\"query\"} 0",
        "attention_sequence_length_count{role=\"key\"} 0",
        "attention_stopped_total{code=\"cancelled\"} 0",
        "attention_stopped_total{code=\"deadline_exceeded\"} 0", "attention_bytes_in_flight 0",
        "attention_layers 0", "attention_layer_bytes 0",
        "attention_layer_loads_total{result=\"loaded\"} 0",
        "attention_layer_loads_total{result=\"refused\"} 0",
        "attention_layer_sharing_requests_count 0", "attention_compute_threads 7",
        "attention_build_info{grpc_version=\"1.51.1\",implementation=\"fused-avx2\","
        "instruction_set=\"avx2\",version=\"1.2.3\"} 1"}) {
    EXPECT_TRUE(Says(line)) << line << "\n" << text;
  }
}

TEST_F(PrometheusMetricsTest, CountsARequestFromStartToEnd) {
  metrics_.RequestStarted(Method::kCrossAttention, 1000);
  EXPECT_TRUE(Says("attention_requests_in_flight 1"));
  metrics_.QueueWaited(0.25);
  metrics_.ComputeTimeSpent(Method::kCrossAttention, 0.5);
  metrics_.Computed({.flops = 1e6, .implementation = "fused-amx", .precision = "bf16_x6"});
  metrics_.SequenceLengths(3, 5);
  metrics_.RequestFinished(Method::kCrossAttention, absl::StatusCode::kOk, 0.75, 2000);
  for (const char* line :
       {"attention_requests_in_flight 0",
        "attention_requests_total{code=\"ok\",method=\"CrossAttention\"} 1",
        "attention_request_bytes_sum 1000", "attention_response_bytes_sum 2000",
        "attention_queue_wait_seconds_sum 0.25",
        "attention_compute_seconds_sum{method=\"CrossAttention\"} 0.5",
        "attention_request_seconds_sum{method=\"CrossAttention\"} 0.75",
        "attention_flops_total 1000000",
        "attention_computations_total{implementation=\"fused-amx\",precision=\"bf16_x6\"} 1",
        "attention_computations_total{implementation=\"fused-amx\",precision=\"f32\"} 0",
        "attention_sequence_length_sum{role=\"query\"} 3",
        "attention_sequence_length_sum{role=\"key\"} 5"}) {
    EXPECT_TRUE(Says(line)) << line;
  }
}

TEST_F(PrometheusMetricsTest, MakesNoSeriesForNamesThatItDoesNotKnow) {
  metrics_.Computed({.flops = 1e6, .implementation = "fused-abacus", .precision = "f32"});
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("fused-abacus")));
  EXPECT_TRUE(Says("attention_flops_total 1000000"));
}

TEST_F(PrometheusMetricsTest, TellsOfLayersAndOfRequestsThatShareThem) {
  metrics_.SetLayerSource([] { return LayerUse{.layer_count = 3, .bytes = 4096}; });
  metrics_.LayersLoaded(true);
  metrics_.LayersLoaded(false);
  metrics_.LayersLoaded(true);
  metrics_.ProjectedTogether(1);
  metrics_.ProjectedTogether(5);
  for (const char* const line :
       {"attention_layers 3", "attention_layer_bytes 4096",
        "attention_layer_loads_total{result=\"loaded\"} 2",
        "attention_layer_loads_total{result=\"refused\"} 1",
        "attention_layer_sharing_requests_count 2", "attention_layer_sharing_requests_sum 6",
        "attention_layer_sharing_requests_bucket{le=\"4\"} 1"}) {
    EXPECT_TRUE(Says(line)) << line;
  }
}

TEST_F(PrometheusMetricsTest, CountsFailures) {
  metrics_.RequestStarted(Method::kSelfAttention, 10);
  metrics_.RequestRejected(Rejection::kQueueFull);
  metrics_.RequestFinished(Method::kSelfAttention, absl::StatusCode::kResourceExhausted, 0.1, 0);
  metrics_.RequestStopped(absl::StatusCode::kCancelled);
  metrics_.RequestStopped(absl::StatusCode::kDeadlineExceeded);
  metrics_.RequestStopped(absl::StatusCode::kDeadlineExceeded);
  metrics_.QueueDepthChanged(9);
  for (const char* line :
       {"attention_requests_total{code=\"resource_exhausted\",method=\"SelfAttention\"} 1",
        "attention_rejected_total{reason=\"queue_full\"} 1", "attention_response_bytes_count 0",
        "attention_stopped_total{code=\"cancelled\"} 1",
        "attention_stopped_total{code=\"deadline_exceeded\"} 2", "attention_queue_depth 9"}) {
    EXPECT_TRUE(Says(line)) << line;
  }
}

TEST_F(PrometheusMetricsTest, TakesAnUnknownCodeForAFaultOfOurs) {
  metrics_.RequestStarted(Method::kSelfAttention, 10);
  metrics_.RequestFinished(Method::kSelfAttention, absl::StatusCode::kDataLoss, 0.1, 0);
  EXPECT_TRUE(Says("attention_requests_total{code=\"internal\",method=\"SelfAttention\"} 1"));
}

TEST_F(PrometheusMetricsTest, MeasuresTimesFromTenMicrosecondsToAMinute) {
  metrics_.QueueWaited(9e-6);
  metrics_.QueueWaited(59);
  EXPECT_TRUE(Says("attention_queue_wait_seconds_bucket{le=\"1e-05\"} 1"));
  EXPECT_TRUE(Says("attention_queue_wait_seconds_bucket{le=\"30\"} 1"));
  EXPECT_TRUE(Says("attention_queue_wait_seconds_bucket{le=\"60\"} 2"));
}

TEST_F(PrometheusMetricsTest, AsksForBytesInFlightAtEachScrape) {
  int64_t bytes = 5;
  metrics_.SetBytesInFlightSource([&bytes] { return bytes; });
  EXPECT_TRUE(Says("attention_bytes_in_flight 5"));
  bytes = 6;
  EXPECT_TRUE(Says("attention_bytes_in_flight 6"));
}

TEST_F(PrometheusMetricsTest, DescribesTheProcess) {
  const std::string text = metrics_.Text();
  for (const char* pattern :
       {"\nprocess_resident_memory_bytes [1-9]", "\nprocess_virtual_memory_bytes [1-9]",
        "\nprocess_open_fds [1-9]", "\nprocess_max_fds [1-9]", "\nprocess_cpu_seconds_total [0-9]",
        "\nprocess_start_time_seconds [1-9]"}) {
    EXPECT_THAT(text, ContainsRegex(pattern));
  }
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace attention::server
