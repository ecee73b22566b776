#include "client/attn/application.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <istream>
#include <new>
#include <sstream>
#include <streambuf>

#include "client/attn/tensor_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/protocol_limits.h"
#include "tests/client/attn/application_fixture.h"

namespace attention::client {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using ApplicationTest = ApplicationFixture;

constexpr const char* kTwoByTwo = "[[1,2],[3,4]]";

// The header of a .npy file of F32 and nothing after it.
std::string NpyWithoutData(const std::string& extents) {
  const std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header;
}

TEST_F(ApplicationTest, HelpIsNoError) {
  EXPECT_EQ(Run({"--help"}), ExitCode::kOk);
  EXPECT_THAT(out_, AllOf(HasSubstr("multi-head"), HasSubstr("Examples:"), HasSubstr("Exit codes:"),
                          HasSubstr("1 the server failed, refused the request or could not be")));
  for (const char* command :
       {"self", "masked", "multi-head", "cross", "sdpa", "example", "info", "health", "version"}) {
    EXPECT_EQ(Run({command, "--help"}), ExitCode::kOk) << command;
    EXPECT_THAT(out_, AllOf(HasSubstr("--server"), HasSubstr("Example"))) << command;
    EXPECT_THAT(err_, IsEmpty());
  }
}

TEST_F(ApplicationTest, HelpTellsWhatCsvIs) {
  EXPECT_EQ(Run({"self", "--help"}), ExitCode::kOk);
  // Help texts are broken into lines wherever they reach the margin.
  std::string words = out_;
  words.erase(std::unique(words.begin(), words.end(),
                          [](char left, char right) {
                            return std::isspace(left) != 0 && std::isspace(right) != 0;
                          }),
              words.end());
  std::ranges::replace(words, '\n', ' ');
  EXPECT_THAT(words, HasSubstr("numbers separated by commas"));
  EXPECT_THAT(words, HasSubstr("no header row;"));
  EXPECT_THAT(words, HasSubstr("lines beginning with # are comments"));
}

TEST_F(ApplicationTest, WrongCommandLinesAreOneSentenceAndExitCodeTwo) {
  EXPECT_EQ(Run({}), ExitCode::kUsage);
  EXPECT_EQ(Run({"bogus"}), ExitCode::kUsage);
  EXPECT_THAT(err_, HasSubstr("no command is named bogus"));
  ExpectUsageError({"self"}, "--embeddings");
  ExpectUsageError({"self", "--embeddings", "-", "--bogus"}, "--bogus");
  ExpectUsageError({"self", "--embeddings", "-", "--type", "f8"}, "f8");
  ExpectUsageError({"self", "--embeddings", "-", "--heads", "0"}, "--heads");
  ExpectUsageError({"self", "--embeddings", "-", "--heads", "two"}, "--heads");
  ExpectUsageError({"self", "--embeddings", "-", "--scale", "inf"}, "finite");
  ExpectUsageError({"self", "--embeddings", "-", "--scores", "all"}, "all");
  ExpectUsageError({"self", "--embeddings", "-", "--deadline-ms", "0"}, "--deadline-ms");
  ExpectUsageError({"self", "--embeddings", "-", "--precision-digits", "99"}, "--precision-digits");
  ExpectUsageError({"self", "--embeddings", "-", "--query-bias", "-"}, "--query-weight");
  ExpectUsageError({"self", "--embeddings", "-", "--additive-score-vector", "-"},
                   "--additive-score-query-weight");
  ExpectUsageError({"example"}, "NAME");
  ExpectUsageError({"example", "no-such"}, "no example is named no-such");
}

TEST_F(ApplicationTest, ACommandLineHasOneCommand) {
  ExpectUsageError({"self", "--embeddings", "-", "health"}, "not expected: health", kTwoByTwo);
  EXPECT_EQ(Run({"health", "info", "--help"}), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("--service")) << "the help of the first";
  service_.FailNext({{grpc::Status(grpc::StatusCode::NOT_FOUND, "no such layer"), {}}});
  EXPECT_EQ(Call({"layers", "health"}), ExitCode::kServer);
  EXPECT_EQ(service_.last_request<v1::GetLayerRequest>().name(), "health")
      << "a layer may have the name of a command";
}

TEST_F(ApplicationTest, UnexpectedArgumentsAreNamedAsTheyWereTyped) {
  ExpectUsageError({"self", "--embeddings", "-", "--bogus", "3", ""},
                   "not expected: --bogus 3 \"\"", kTwoByTwo);
  ExpectUsageError({"self", "--embedding", "x.json"}, "not expected: --embedding x.json");
  EXPECT_THAT(err_, HasSubstr("--embeddings is required"));
  ExpectUsageError({""}, "a command is needed");
}

TEST_F(ApplicationTest, UnreadableInputsAreNamed) {
  ExpectUsageError({"self", "--embeddings", "/no/such/file"}, "--embeddings: /no/such/file");
  ExpectUsageError({"self", "--embeddings", "-"}, "line 1, column 2", "1,x");
  ExpectUsageError({"self", "--embeddings", "-"}, "where the lists before it", "[[1,2],[3]]");
  ExpectUsageError({"self", "--embeddings", "-", "--query-weight", "-"},
                   "already read for --embeddings", kTwoByTwo);
  ExpectUsageError({"self", "--embeddings", "-", "--format", "npy"}, ".npy", kTwoByTwo);
}

TEST_F(ApplicationTest, ANpyFileLargerThanAMessageIsRefusedByItsHeader) {
  const std::string too_large = NpyWithoutData("8192, 8200");
  ExpectUsageError({"self", "--embeddings", "-"}, "elements, more than 67125248", too_large);
  ExpectUsageError({"self", "--embeddings", "-", "--type", "f64"}, "more than 33562624", too_large);
  ExpectUsageError({"self", "--embeddings", "-", "--type", "f16"}, "bytes were given", too_large);
}

TEST_F(ApplicationTest, ExtentsThatNoServerTakesAreRefusedHoweverFewElementsThereAre) {
  static_assert(kMaxExtent == server::kMaxSequence && kMaxExtent >= server::kMaxBatch &&
                kMaxExtent >= server::kMaxWidth);
  const std::string huge = NpyWithoutData("4294967296, 0");
  ExpectUsageError({"self", "--embeddings", "-"},
                   "--embeddings: shape [4294967296, 0] has an extent over 1048576", huge);
  ExpectUsageError({"rotary", "--input", "-"}, "--input: shape [4294967296, 0]", huge);
  const std::string small = File("small.json", "[[1]]");
  ExpectUsageError({"sdpa", "--query", small, "--key", "-", "--value", small},
                   "--key: shape [0, 1048577]", NpyWithoutData("0, 1048577"));
  AnswerWith("output { shape: [1, 1] floats: [1] }");
  EXPECT_EQ(Call({"self", "--embeddings", "-"}, NpyWithoutData("1048576, 0")), ExitCode::kOk)
      << err_;
}

TEST_F(ApplicationTest, ShapesThatCannotBeRightAreRefusedLocally) {
  ExpectUsageError({"self", "--embeddings", "-"}, "shape [2] has 1 axes", "[1,2]");
  ExpectUsageError({"self", "--embeddings", "-"}, "has 4 axes", "[[[[1]]]]");
  ExpectUsageError({"self", "--embeddings", "-", "--labels", "a,b,c"}, "--labels names 3 of 2",
                   kTwoByTwo);
  ExpectUsageError({"self", "--embeddings", "-", "--key-labels", "a"},
                   "--key-labels names 1 of 2 keys", kTwoByTwo);
  const std::string deep = File("deep.json", "[[[1]]]");
  const std::string flat = File("flat.json", "[[1]]");
  ExpectUsageError({"sdpa", "--query", flat, "--key", deep, "--value", flat},
                   "--key: shape [1, 1, 1]");
  ExpectUsageError({"sdpa", "--query", flat, "--key", flat, "--value", flat, "--layout", "packed"},
                   "needs --heads");
}

TEST_F(ApplicationTest, MaskedNeedsAMask) {
  ExpectUsageError({"masked", "--embeddings", "-"}, "needs at least one of", kTwoByTwo);
  ExpectUsageError({"masked", "--embeddings", "-", "--causal", "sideways"}, "--causal", kTwoByTwo);
  ExpectUsageError({"masked", "--embeddings", "-", "--boolean-mask", File("m.csv", "1,2")},
                   "--boolean-mask", kTwoByTwo);
}

TEST_F(ApplicationTest, NoMemoryIsOneSentenceAndExitCodeOne) {
  struct NoMemory : std::streambuf {
    int_type underflow() override { throw std::bad_alloc(); }
  } no_memory;
  std::istream in(&no_memory);
  in.exceptions(std::ios::badbit);  // lets it through
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunAttn({"self", "--embeddings", "-"},
                    {.in = in, .out = out, .err = err, .out_is_terminal = false}),
            ExitCode::kServer);
  EXPECT_EQ(err.str(), "attn: out of memory\n");
}

TEST_F(ApplicationTest, OutputThatIsLostIsExitCodeOne) {
  AnswerWith("output { shape: [2, 2] floats: [1, 2, 3, 4] }");
  const std::string words = File("words.json", kTwoByTwo);
  const std::vector<std::vector<std::string>> commands = {
      {"--help"},
      {"self", "--help"},
      {"examples"},
      {"version", "--server", service_.address()},
      {"info", "--server", service_.address()},
      {"health", "--server", service_.address()},
      {"layers", "--server", service_.address()},
      {"self", "--embeddings", words, "--server", service_.address()},
      {"self", "--embeddings", words, "--output", "npy", "--server", service_.address()}};
  for (const std::vector<std::string>& command : commands) {
    std::istringstream in;
    std::ofstream full("/dev/full");
    std::ostringstream err;
    const Console console = {.in = in, .out = full, .err = err, .out_is_terminal = false};
    EXPECT_EQ(RunAttn(command, console), ExitCode::kServer) << command[0];
    EXPECT_EQ(err.str(), "attn: standard output cannot be written\n") << command[0];
  }
}

TEST_F(ApplicationTest, AServersErrorComesBeforeLostOutput) {
  service_.SetServing(false);
  std::istringstream in;
  std::ofstream full("/dev/full");
  std::ostringstream err;
  const Console console = {.in = in, .out = full, .err = err, .out_is_terminal = false};
  EXPECT_EQ(RunAttn({"health", "--server", service_.address()}, console), ExitCode::kServer);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("is NOT_SERVING"), Not(HasSubstr("standard output"))));
}

TEST_F(ApplicationTest, AServersErrorIsExitCodeOne) {
  service_.FailNext({{grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "embeddings:\nno"), {}}});
  EXPECT_EQ(Call({"self", "--embeddings", "-"}, kTwoByTwo), ExitCode::kServer);
  EXPECT_EQ(err_, "attn: INVALID_ARGUMENT: embeddings: no\n");
}

TEST_F(ApplicationTest, AServerThatIsNotThereIsNamedWithWhatToDo) {
  const std::vector<std::vector<std::string>> commands = {
      {"health"}, {"info"}, {"layers"}, {"example", "friends"}, {"self", "--embeddings", "-"}};
  for (std::vector<std::string> command : commands) {
    const std::string name = command[0];
    command.insert(command.end(), {"--server", "127.0.0.1:1"});
    EXPECT_EQ(Run(command, kTwoByTwo), ExitCode::kServer) << name;
    EXPECT_THAT(err_, StartsWith("attn: UNAVAILABLE: no server answers at 127.0.0.1:1 (")) << name;
    EXPECT_THAT(err_, EndsWith("; start one with deploy/run, or name it with --server or "
                               "ATTN_SERVER\n"))
        << name;
  }
}

TEST_F(ApplicationTest, AServerThatRefusesSpeaksForItself) {
  service_.FailNext(
      {{grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is draining"), {"-1"}}});
  EXPECT_EQ(Call({"self", "--embeddings", "-"}, kTwoByTwo), ExitCode::kServer);
  EXPECT_EQ(err_, "attn: UNAVAILABLE: " + service_.address() + ": the server is draining\n");
}

TEST_F(ApplicationTest, ADeadlineNamesTheServerAndTheFlag) {
  service_.HoldCalls();
  EXPECT_EQ(Call({"self", "--embeddings", "-", "--deadline-ms", "50"}, kTwoByTwo),
            ExitCode::kServer);
  EXPECT_EQ(err_, "attn: DEADLINE_EXCEEDED: no answer from " + service_.address() +
                      " within 50 ms (--deadline-ms)\n");
}

TEST_F(ApplicationTest, AServersOwnWordsAboutADeadlineAreKept) {
  service_.FailNext({{grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "still queued"), {}}});
  EXPECT_EQ(Call({"info"}), ExitCode::kServer);
  EXPECT_THAT(err_, EndsWith(" within 60000 ms (--deadline-ms): still queued\n"));
}

TEST_F(ApplicationTest, AServerWithoutANameIsAUsageError) {
  for (const char* server : {"", " ", "dns:", "dns:///"}) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Run({"health", "--server", server}), ExitCode::kUsage) << server;
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "gRPC's own lines";
    EXPECT_THAT(err_, AllOf(StartsWith("attn: --server: "), HasSubstr("HOST:PORT"))) << server;
  }
  setenv("ATTN_SERVER", "", /*overwrite=*/1);  // counts as absent, as the server's variables do
  EXPECT_EQ(Run({"version"}), ExitCode::kOk) << err_;
  unsetenv("ATTN_SERVER");
}

TEST_F(ApplicationTest, HelpIsShownWhateverTheEnvironmentNames) {
  for (const char* server : {"http://127.0.0.1:8001", " "}) {
    setenv("ATTN_SERVER", server, /*overwrite=*/1);
    for (const char* command : {"self", "rotary", "example", "info", "layers", "version"}) {
      EXPECT_EQ(Run({command, "--help"}), ExitCode::kOk) << command << ": " << err_;
      EXPECT_THAT(out_, HasSubstr("--server")) << command;
    }
    EXPECT_EQ(Run({"--help"}), ExitCode::kOk) << err_;
    unsetenv("ATTN_SERVER");
  }
}

TEST_F(ApplicationTest, AServerIsAHostAndAPortNotAUrl) {
  for (const char* server : {"http://127.0.0.1:8001", "https://a:1", "grpc://a:1", "HTTP://a:1"}) {
    EXPECT_EQ(Run({"health", "--server", server}), ExitCode::kUsage) << server;
    EXPECT_THAT(err_, AllOf(StartsWith("attn: --server: "), HasSubstr("HOST:PORT"))) << server;
    setenv("ATTN_SERVER", server, /*overwrite=*/1);
    EXPECT_EQ(Run({"health"}), ExitCode::kUsage) << server;
    EXPECT_THAT(err_, HasSubstr("ATTN_SERVER")) << server;
    unsetenv("ATTN_SERVER");
  }
}

TEST_F(ApplicationTest, APortIsANumberFromOneTo65535) {
  for (const char* server :
       {"localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999",
        "127.0.0.1:abc", "127.0.0.1:+80", ":8001", "::1", "[::1]", "[::1]8001", "a b:1"}) {
    EXPECT_EQ(Run({"health", "--server", server}), ExitCode::kUsage) << server;
    EXPECT_EQ(err_, "attn: --server: got " + std::string(server) +
                        ", want HOST:PORT, such as 127.0.0.1:8001, here and in ATTN_SERVER\n");
  }
  for (const char* server : {"localhost:1", "127.0.0.1:65535", "[::1]:8001", "dns:localhost",
                             "dns:///localhost:1", "unix:/no/such/socket"}) {
    EXPECT_EQ(Run({"health", "--deadline-ms", "1", "--server", server}), ExitCode::kServer)
        << server << ": " << err_;
  }
}

TEST_F(ApplicationTest, AddressesOfGrpcsSchemesAreNumbers) {
  for (const char* server :
       {"ipv4:localhost:1", "ipv4:127.0.0.1", "ipv4:127.0.0.1:1,", "ipv4:[::1]:1",
        "ipv4:", "ipv6:127.0.0.1:1", "ipv6:[::1]", "ipv6:::1:80", "vsock:1:2"}) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Run({"health", "--server", server}), ExitCode::kUsage) << server;
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "gRPC's own lines";
    EXPECT_THAT(err_, HasSubstr(std::string("got ") + server + ", want ")) << server;
  }
  for (const char* server : {"ipv4:127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.1:2", "ipv6:[::1]:1",
                             "ipv6:[fe80::1%25lo]:1", "ipv4:///127.0.0.1:1"}) {
    EXPECT_EQ(Run({"health", "--deadline-ms", "1", "--server", server}), ExitCode::kServer)
        << server << ": " << err_;
  }
}

}  // namespace
}  // namespace attention::client
