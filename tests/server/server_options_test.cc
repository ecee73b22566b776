#include "server/server_options.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

ParsedOptions Parse(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {}) {
  return ParseServerOptions(arguments, environment);
}

TEST(ParseServerOptionsTest, HasTheDocumentedDefaults) {
  const ParsedOptions parsed = Parse({});
  EXPECT_EQ(parsed.exit_code, std::nullopt) << parsed.text;
  const ServerOptions& options = parsed.options;
  EXPECT_EQ(options.grpc_address, "127.0.0.1:8001");
  EXPECT_EQ(options.http_address, "127.0.0.1:8002");
  EXPECT_EQ(options.engine.thread_count, 0);
  EXPECT_EQ(options.engine.limits.max_request_bytes, int64_t{256} << 20);
  EXPECT_EQ(options.engine.limits.max_response_bytes, int64_t{256} << 20);
  EXPECT_EQ(options.engine.limits.max_flops, 1e13);
  EXPECT_EQ(options.engine.limits.max_float64_flops, 1e11);
  EXPECT_EQ(options.max_deadline, seconds(300));
  EXPECT_EQ(options.max_cache_bytes, int64_t{1} << 30);
  EXPECT_EQ(options.max_stream_idle, seconds(300));
  EXPECT_EQ(options.default_precision, kernels::Precision::kF32);
  EXPECT_EQ(options.warm_up.shapes, CommonWarmUpShapes());
  EXPECT_EQ(options.warm_up.limit, milliseconds(1000));
  EXPECT_EQ(options.layers_directory, "");
  EXPECT_EQ(options.max_layer_bytes, int64_t{4} << 30);
  EXPECT_TRUE(options.reflection);
  EXPECT_EQ(options.log_level, LogLevel::kInfo);
  EXPECT_EQ(options.drain_grace, milliseconds(5000));
  EXPECT_EQ(options.drain_timeout, milliseconds(30000));
  EXPECT_THAT(parsed.unknown_variables, IsEmpty());
}

TEST(ParseServerOptionsTest, ReadsWhereLayersAreAndHowMuchTheyMayTake) {
  const ParsedOptions parsed =
      Parse({"--layers-directory", "layers"}, {"ATTENTION_MAX_LAYER_BYTES=1GiB"});
  EXPECT_EQ(parsed.exit_code, std::nullopt) << parsed.text;
  EXPECT_EQ(parsed.options.layers_directory, "layers");
  EXPECT_EQ(parsed.options.max_layer_bytes, int64_t{1} << 30);
  EXPECT_THAT(parsed.unknown_variables, IsEmpty());
  EXPECT_THAT(Parse({"--max-layer-bytes=0"}).text, HasSubstr("--max-layer-bytes"));
}

TEST(ParseServerOptionsTest, ReadsEveryFlag) {
  const ParsedOptions parsed = Parse({"--grpc-address",
                                      "0.0.0.0:1",
                                      "--http-address=[::1]:2",
                                      "--compute-threads",
                                      "3",
                                      "--queue-capacity=4",
                                      "--max-request-bytes=5MiB",
                                      "--max-response-bytes=6MiB",
                                      "--max-request-flops=7e7",
                                      "--max-request-float64-flops=8",
                                      "--max-bytes-in-flight=9GiB",
                                      "--grpc-memory-bytes=10MiB",
                                      "--max-deadline-seconds=11",
                                      "--max-cache-bytes=12MiB",
                                      "--max-stream-idle-seconds=13",
                                      "--implementation=unfused-float64",
                                      "--default-precision=bf16_x3",
                                      "--warm-up=12x128x64,32/8x1x80",
                                      "--warm-up-limit-ms=19",
                                      "--reflection=off",
                                      "--log-level=debug",
                                      "--drain-grace-ms=12",
                                      "--drain-timeout-ms=13",
                                      "--keepalive-time-seconds=14",
                                      "--keepalive-timeout-seconds=15",
                                      "--max-connection-idle-seconds=16",
                                      "--max-connection-age-seconds=17",
                                      "--max-connection-age-grace-seconds=18"});
  ASSERT_EQ(parsed.exit_code, std::nullopt) << parsed.text;
  const ServerOptions& options = parsed.options;
  EXPECT_EQ(options.grpc_address, "0.0.0.0:1");
  EXPECT_EQ(options.http_address, "[::1]:2");
  EXPECT_EQ(options.engine.thread_count, 3);
  EXPECT_EQ(options.engine.queue_capacity, 4);
  EXPECT_EQ(options.engine.limits.max_request_bytes, 5 << 20);
  EXPECT_EQ(options.engine.limits.max_response_bytes, 6 << 20);
  EXPECT_EQ(options.engine.limits.max_flops, 7e7);
  EXPECT_EQ(options.engine.limits.max_float64_flops, 8);
  EXPECT_EQ(options.engine.max_bytes_in_flight, int64_t{9} << 30);
  EXPECT_EQ(options.grpc_memory_bytes, 10 << 20);
  EXPECT_EQ(options.max_deadline, seconds(11));
  EXPECT_EQ(options.max_cache_bytes, int64_t{12} << 20);
  EXPECT_EQ(options.max_stream_idle, seconds(13));
  EXPECT_EQ(options.implementation, "unfused-float64");
  EXPECT_EQ(options.default_precision, kernels::Precision::kBF16X3);
  EXPECT_THAT(options.warm_up.shapes,
              ElementsAre(WarmUpShape{12, 12, 128, 64}, WarmUpShape{32, 8, 1, 80}));
  EXPECT_EQ(options.warm_up.limit, milliseconds(19));
  EXPECT_FALSE(options.reflection);
  EXPECT_EQ(options.log_level, LogLevel::kDebug);
  EXPECT_EQ(options.drain_grace, milliseconds(12));
  EXPECT_EQ(options.drain_timeout, milliseconds(13));
  EXPECT_EQ(options.connections.keepalive_time, seconds(14));
  EXPECT_EQ(options.connections.keepalive_timeout, seconds(15));
  EXPECT_EQ(options.connections.max_idle, seconds(16));
  EXPECT_EQ(options.connections.max_age, seconds(17));
  EXPECT_EQ(options.connections.max_age_grace, seconds(18));
}

TEST(ParseServerOptionsTest, ReadsTheEnvironmentWhereAFlagIsAbsent) {
  const ParsedOptions parsed =
      Parse({"--queue-capacity=4"},
            {"ATTENTION_QUEUE_CAPACITY=9", "ATTENTION_MAX_REQUEST_BYTES=5MiB",
             "ATTENTION_LOG_LEVEL=", "ATTENTION_GRPC_ADDRESS=0.0.0.0:1", "PATH=/bin"});
  ASSERT_EQ(parsed.exit_code, std::nullopt) << parsed.text;
  EXPECT_EQ(parsed.options.engine.queue_capacity, 4) << "the flag wins";
  EXPECT_EQ(parsed.options.engine.limits.max_request_bytes, 5 << 20);
  EXPECT_EQ(parsed.options.log_level, LogLevel::kInfo) << "an empty variable counts as absent";
  EXPECT_EQ(parsed.options.grpc_address, "0.0.0.0:1");
}

TEST(ParseServerOptionsTest, NamesVariablesThatAreNoFlag) {
  const ParsedOptions parsed = Parse({}, {"ATTENTION_GRPC_ADRESS=0.0.0.0:1", "ATTENTION_ROOT=/x",
                                          "OTHER=1", "ATTENTION_REFLECTION=on"});
  EXPECT_THAT(parsed.unknown_variables, ElementsAre("ATTENTION_GRPC_ADRESS"));
}

TEST(ParseServerOptionsTest, SaysInOneSentenceWhatIsWrong) {
  const struct {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string sentence;
  } cases[] = {
      {{"--grpc-address=nowhere"}, {}, "--grpc-address: got 'nowhere', want ADDRESS:PORT"},
      {{"--http-address=localhost:1"}, {}, "--http-address: got 'localhost:1', want ADDRESS:PORT"},
      {{"--compute-threads=-1"}, {}, "--compute-threads: got '-1', want a whole number from 0 to"},
      {{"--grpc-memory-bytes=8MiB", "--max-request-bytes=16MiB"},
       {},
       "--grpc-memory-bytes must exceed --max-request-bytes by at least 1MiB"},
      {{"--queue-capacity=10001"}, {}, "want a whole number from 1 to 10000"},
      {{"--queue-capacity=0"}, {}, "--queue-capacity: got '0', want a whole number from 1 to"},
      {{"--max-request-bytes=lots"}, {}, "--max-request-bytes: got 'lots', want a number of bytes"},
      {{"--max-request-bytes=4GiB"}, {}, "--max-request-bytes: got '4GiB', want 1 to 2145386496"},
      {{"--max-request-flops=nan"}, {}, "--max-request-flops: got 'nan', want a number > 0"},
      {{"--default-precision=bf16_x9"},
       {},
       "--default-precision: got 'bf16_x9', want one of f32, bf16_x6, bf16_x3, bf16, "
       "f32_grade_fastest"},
      {{},
       {"ATTENTION_DEFAULT_PRECISION=F32"},
       "ATTENTION_DEFAULT_PRECISION: got 'F32', want one of f32, bf16_x6"},
      {{"--warm-up=12x128"}, {}, "--warm-up: got '12x128', want none, common or at most 64 shapes"},
      {{"--warm-up-limit-ms=0"}, {}, "--warm-up-limit-ms: got '0', want a whole number from 1 to"},
      {{"--reflection=perhaps"}, {}, "--reflection: got 'perhaps', want true or false"},
      {{"--log-level=loud"}, {}, "--log-level: got 'loud', want debug, info, warning or error"},
      {{"--no-such-flag"}, {}, "--no-such-flag"},
      {{"word"}, {}, "word"},
      {{"--drain-grace-ms"}, {}, "--drain-grace-ms"},
      {{},
       {"ATTENTION_MAX_DEADLINE_SECONDS=0"},
       "ATTENTION_MAX_DEADLINE_SECONDS: got '0', want a whole number from 1 to 86400"},
      {{"--max-bytes-in-flight=1MiB"},
       {},
       "--max-request-bytes must not exceed --max-bytes-in-flight"},
  };
  for (const auto& each : cases) {
    const ParsedOptions parsed = Parse(each.arguments, each.environment);
    EXPECT_EQ(parsed.exit_code, kUsageExitCode) << each.sentence;
    EXPECT_THAT(parsed.text, StartsWith("attention_server: "));
    EXPECT_THAT(parsed.text, HasSubstr(each.sentence));
    EXPECT_EQ(parsed.text.find('\n'), parsed.text.size() - 1) << parsed.text;
  }
}

TEST(ParseServerOptionsTest, HelpNamesEveryFlagWithItsVariable) {
  const ParsedOptions parsed = Parse({"--help"});
  EXPECT_EQ(parsed.exit_code, 0);
  for (const char* text :
       {"--grpc-address", "ATTENTION_GRPC_ADDRESS", "127.0.0.1:8001", "--max-request-bytes",
        "ATTENTION_MAX_REQUEST_BYTES", "256MiB", "--drain-grace-ms", "ATTENTION_DRAIN_GRACE_MS",
        "5000", "unfused-float64", "--default-precision", "ATTENTION_DEFAULT_PRECISION",
        "f32_grade_fastest", "--warm-up", "ATTENTION_WARM_UP", "12x128x64", "Examples:"}) {
    EXPECT_THAT(parsed.text, HasSubstr(text));
  }
}

TEST(ParseServerOptionsTest, VersionIsOneLine) {
  const ParsedOptions parsed = Parse({"--version"});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.text, testing::MatchesRegex("attention_server [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

}  // namespace
}  // namespace attention::server
