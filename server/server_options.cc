#include "server/server_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kernels/implementation.h"
#include "server/build_info.h"
#include "server/core/precision.h"
#include "server/core/status_macros.h"
#include "server/flag_table.h"
#include "server/listen_address.h"
#include "server/option_values.h"
#include "server/warm_up_shapes.h"

namespace attention::server {
namespace {

// Protobuf's own limit, less room for what surrounds the elements.
constexpr int64_t kMaxMessageBytes = (int64_t{2} << 30) - (int64_t{2} << 20);
constexpr int64_t kMaxMemoryBytes = int64_t{1} << 50;
constexpr int64_t kMinGrpcMemoryBytes = int64_t{1} << 20;  // beside one request
constexpr int64_t kMaxSeconds = 86'400;
constexpr int64_t kMaxMilliseconds = 3'600'000;
constexpr int64_t kMaxWarmUpMilliseconds = 60'000;  // a termination signal waits for it
constexpr int64_t kMaxThreads = 1'024;
constexpr int64_t kMaxQueueCapacity = 10'000;  // each refusal looks at all who wait

constexpr char kDescription[] =
    "Serves attention.v1.AttentionService over gRPC, and metrics and health over HTTP.\n"
    "It runs in the foreground and logs one JSON object a line to standard error. SIGTERM or\n"
    "SIGINT drains it: health turns NOT_SERVING, accepted work is finished, and it exits with 0.\n"
    "SIGHUP has it load its layers again.\n"
    "\n"
    "Every flag can be given as an environment variable: --grpc-address is\n"
    "ATTENTION_GRPC_ADDRESS. The flag wins. Sizes may end in KiB, MiB or GiB.";

constexpr char kExamples[] =
    "Examples:\n"
    "  attention_server\n"
    "  attention_server --grpc-address 0.0.0.0:8001 --http-address 0.0.0.0:8002\n"
    "  attention_server --grpc-address 127.0.0.1:0 --http-address 127.0.0.1:0 --log-level debug\n"
    "  ATTENTION_COMPUTE_THREADS=4 ATTENTION_MAX_REQUEST_BYTES=64MiB attention_server";

// Stores what `parse` makes of a text in `target`.
template <typename Parse, typename Target>
Assign Into(Target& target, Parse parse) {
  return [&target, parse](const std::string& text) -> absl::Status {
    auto value = parse(text);
    if (!value.ok()) return value.status();
    target = Target(*std::move(value));
    return absl::OkStatus();
  };
}

template <typename Target>
Assign WholeNumber(Target& target, int64_t minimum, int64_t maximum) {
  return Into(target, [minimum, maximum](const std::string& text) {
    return ParseWholeNumber(text, minimum, maximum);
  });
}

Assign Bytes(int64_t& target, int64_t minimum, int64_t maximum) {
  return Into(target, [minimum, maximum](const std::string& text) -> absl::StatusOr<int64_t> {
    const absl::StatusOr<int64_t> bytes = ParseByteCount(text);
    if (!bytes.ok() || (*bytes >= minimum && *bytes <= maximum)) return bytes;
    return absl::InvalidArgumentError(
        absl::StrCat("got '", text, "', want ", minimum, " to ", maximum, " bytes"));
  });
}

Assign PositiveNumber(double& target) {
  return Into(target, [](const std::string& text) { return ParsePositiveNumber(text); });
}

Assign Address(std::string& target) {
  return Into(target, [](const std::string& text) -> absl::StatusOr<std::string> {
    ATTENTION_RETURN_IF_ERROR(ParseListenAddress(text).status());
    return text;
  });
}

std::string PrecisionNames() {
  return absl::StrJoin(kPrecisions, ", ", [](std::string* text, kernels::Precision precision) {
    text->append(Name(precision));
  });
}

Assign Level(LogLevel& target) {
  return Into(target, [](const std::string& text) -> absl::StatusOr<LogLevel> {
    if (const std::optional<LogLevel> level = ParseLogLevel(text)) return *level;
    return absl::InvalidArgumentError(
        absl::StrCat("got '", text, "', want debug, info, warning or error"));
  });
}

Assign OneOfPrecisions(kernels::Precision& target) {
  return Into(target, [](const std::string& text) -> absl::StatusOr<kernels::Precision> {
    if (const std::optional<kernels::Precision> precision = ParsePrecision(text)) {
      return *precision;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("got '", text, "', want one of ", PrecisionNames()));
  });
}

void AddSeconds(const std::string& flag, const std::string& description,
                std::chrono::seconds& target, FlagTable& flags) {
  flags.Add(flag, "SECONDS", description, absl::StrCat(target.count()),
            WholeNumber(target, 1, kMaxSeconds));
}

void AddMilliseconds(const std::string& flag, const std::string& description,
                     std::chrono::milliseconds& target, FlagTable& flags) {
  flags.Add(flag, "MILLISECONDS", description, absl::StrCat(target.count()),
            WholeNumber(target, 0, kMaxMilliseconds));
}

void AddMessageBytes(const std::string& flag, const std::string& description, int64_t& target,
                     FlagTable& flags) {
  flags.Add(flag, "BYTES", description, ByteCountText(target), Bytes(target, 1, kMaxMessageBytes));
}

void AddFlops(const std::string& flag, const std::string& description, double& target,
              FlagTable& flags) {
  flags.Add(flag, "NUMBER", description, absl::StrCat(target), PositiveNumber(target));
}

void AddAddresses(ServerOptions& options, FlagTable& flags) {
  flags.Group("Addresses");
  flags.Add("--grpc-address", "ADDRESS:PORT",
            "Where gRPC listens; port 0 takes any free one, which the log tells.",
            options.grpc_address, Address(options.grpc_address));
  flags.Add("--http-address", "ADDRESS:PORT", "Where HTTP listens: /metrics, /livez, /readyz.",
            options.http_address, Address(options.http_address));
  flags.Add("--reflection", "BOOL", "Whether clients may ask for the protocol, as grpcurl does.",
            options.reflection ? "true" : "false", Into(options.reflection, ParseBoolean));
}

std::string ImplementationNames() {
  return absl::StrJoin(kernels::AllImplementations(), ", ",
                       [](std::string* text, const kernels::Implementation* implementation) {
                         text->append(implementation->name());
                       });
}

void AddWarmUp(WarmUpOptions& warm_up, FlagTable& flags) {
  flags.Add(
      "--warm-up", "SHAPES",
      absl::StrCat("What every compute thread computes, in F32 and BF16, before the server is "
                   "ready, so that first requests do not wait for generated code: none, "
                   "common (",
                   WarmUpShapesText(CommonWarmUpShapes()),
                   ") or such a list; 32/8x1024x128 is 32 query heads with 8 of keys and "
                   "values, 1024 tokens, heads of width 128."),
      "common", Into(warm_up.shapes, ParseWarmUpShapes));
  flags.Add("--warm-up-limit-ms", "MILLISECONDS", "Time after which that ends, done or not.",
            absl::StrCat(warm_up.limit.count()),
            WholeNumber(warm_up.limit, 1, kMaxWarmUpMilliseconds));
}

void AddCompute(ServerOptions& options, FlagTable& flags) {
  flags.Group("Computation");
  flags.Add("--compute-threads", "COUNT",
            "Threads that compute; no more than this process may use, and 0 means that many.", "0",
            WholeNumber(options.engine.thread_count, 0, kMaxThreads));
  flags.Add("--implementation", "NAME",
            absl::StrCat("Forces one of ", ImplementationNames(),
                         ". Start-up fails where it cannot run."),
            "the best usable", [&options](const std::string& text) {
              options.implementation = text;
              return absl::OkStatus();
            });
  flags.Add(
      "--default-precision", "NAME",
      absl::StrCat("How matrix products of F32 requests that do not say are computed: one of ",
                   PrecisionNames(), "."),
      std::string(Name(options.default_precision)), OneOfPrecisions(options.default_precision));
  AddWarmUp(options.warm_up, flags);
}

void AddLayers(ServerOptions& options, FlagTable& flags) {
  flags.Group("Layers");
  flags.Add("--layers-directory", "DIRECTORY",
            "Projections that requests can name: NAME/layer.json and NAME/weights.safetensors; "
            "read at the start, and again after SIGHUP.",
            "none", [&options](const std::string& text) {
              options.layers_directory = text;
              return absl::OkStatus();
            });
  flags.Add("--max-layer-bytes", "BYTES",
            "Memory for layers, as stored and packed, and for those that replace them.",
            ByteCountText(options.max_layer_bytes),
            Bytes(options.max_layer_bytes, 1, kMaxMemoryBytes));
}

void AddLimits(ServerOptions& options, FlagTable& flags) {
  EngineOptions& engine = options.engine;
  flags.Group("Limits");
  flags.Add("--queue-capacity", "COUNT", "Requests that may wait for a compute thread.",
            absl::StrCat(engine.queue_capacity),
            WholeNumber(engine.queue_capacity, 1, kMaxQueueCapacity));
  AddMessageBytes("--max-request-bytes", "The largest request.", engine.limits.max_request_bytes,
                  flags);
  AddMessageBytes("--max-response-bytes", "The largest response.", engine.limits.max_response_bytes,
                  flags);
  AddFlops("--max-request-flops", "Floating point operations of one request.",
           engine.limits.max_flops, flags);
  AddFlops("--max-request-float64-flops", "The same where computed in float64, which is slower.",
           engine.limits.max_float64_flops, flags);
  flags.Add("--max-bytes-in-flight", "BYTES",
            "Memory for requests, intermediate results and answers together.",
            ByteCountText(engine.max_bytes_in_flight),
            Bytes(engine.max_bytes_in_flight, 1, kMaxMemoryBytes));
  flags.Add("--grpc-memory-bytes", "BYTES",
            "Memory for what gRPC has received and not yet handed over.",
            "max-bytes-in-flight + 64MiB",
            Bytes(options.grpc_memory_bytes, kMinGrpcMemoryBytes, kMaxMemoryBytes));
  AddSeconds("--max-deadline-seconds", "The longest a request may take, whatever its deadline.",
             options.max_deadline, flags);
  flags.Add("--max-cache-bytes", "BYTES", "Memory for keys and values that decoding streams keep.",
            ByteCountText(options.max_cache_bytes),
            Bytes(options.max_cache_bytes, 1, kMaxMemoryBytes));
  AddSeconds("--max-stream-idle-seconds",
             "A decoding stream without a request is ended after this.", options.max_stream_idle,
             flags);
}

void AddConnections(ServerOptions& options, FlagTable& flags) {
  ConnectionOptions& connections = options.connections;
  flags.Group("Connections");
  AddSeconds("--keepalive-time-seconds", "Silence after which a client is pinged.",
             connections.keepalive_time, flags);
  AddSeconds("--keepalive-timeout-seconds", "Time a client has to answer a ping.",
             connections.keepalive_timeout, flags);
  AddSeconds("--max-connection-idle-seconds", "A connection without calls is closed after this.",
             connections.max_idle, flags);
  AddSeconds("--max-connection-age-seconds", "Any connection is closed after this.",
             connections.max_age, flags);
  flags.Add("--max-connection-age-grace-seconds", "SECONDS", "Time its calls then have to finish.",
            "max-deadline-seconds + 30", WholeNumber(connections.max_age_grace, 1, kMaxSeconds));
}

void AddOperation(ServerOptions& options, FlagTable& flags) {
  flags.Group("Operation");
  flags.Add("--log-level", "LEVEL",
            "debug (a line for each request), info (for those that failed; of these no more than a "
            "few a second), warning or error.",
            std::string(Name(options.log_level)), Level(options.log_level));
  AddMilliseconds(
      "--drain-grace-ms",
      "Time between turning NOT_SERVING and refusing calls, and cancelling those whose requests "
      "are still arriving; a second signal skips it.",
      options.drain_grace, flags);
  AddMilliseconds("--drain-timeout-ms",
                  "Time that accepted calls then have to finish; another signal cancels them.",
                  options.drain_timeout, flags);
}

ParsedOptions ExitWith(int code, std::string text) {
  ParsedOptions result;
  result.exit_code = code;
  result.text = std::move(text);
  return result;
}

// One sentence, whatever lines the library's message has.
std::string OneSentence(absl::string_view message) {
  std::string text = absl::StrReplaceAll(message, {{"\n", " "}});
  absl::StripAsciiWhitespace(&text);
  return absl::StrCat("attention_server: ", text, " (--help lists the flags)\n");
}

}  // namespace

ParsedOptions ParseServerOptions(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment) {
  ParsedOptions result;
  ServerOptions& options = result.options;
  options.engine.thread_count = 0;

  CLI::App app(kDescription, "attention_server");
  app.footer(kExamples);
  app.set_help_flag("-h,--help", "Print this and exit.");
  app.set_version_flag("--version", std::string(Version()), "Print the version and exit.");
  FlagTable flags(app);
  AddAddresses(options, flags);
  AddCompute(options, flags);
  AddLayers(options, flags);
  AddLimits(options, flags);
  AddConnections(options, flags);
  AddOperation(options, flags);

  try {
    app.parse(std::vector<std::string>(arguments.rbegin(),
                                       arguments.rend()));  // CLI11 wants them reversed
  } catch (const CLI::CallForHelp&) {
    return ExitWith(0, app.help());
  } catch (const CLI::CallForVersion&) {
    return ExitWith(0, absl::StrCat("attention_server ", std::string(Version()), "\n"));
  } catch (const CLI::ParseError& error) {
    return ExitWith(kUsageExitCode, OneSentence(error.what()));
  }
  if (const absl::Status status = flags.Apply(environment); !status.ok()) {
    return ExitWith(kUsageExitCode, OneSentence(status.message()));
  }
  if (options.engine.limits.max_request_bytes > options.engine.max_bytes_in_flight) {
    return ExitWith(kUsageExitCode,
                    OneSentence("--max-request-bytes must not exceed --max-bytes-in-flight"));
  }
  if (options.grpc_memory_bytes != 0 &&
      options.grpc_memory_bytes - kMinGrpcMemoryBytes < options.engine.limits.max_request_bytes) {
    return ExitWith(
        kUsageExitCode,
        OneSentence(absl::StrCat("--grpc-memory-bytes must exceed --max-request-bytes by at least ",
                                 ByteCountText(kMinGrpcMemoryBytes))));
  }
  result.unknown_variables = flags.UnknownVariables(environment);
  return result;
}

}  // namespace attention::server
