// What the tests of attn's commands share.

#ifndef ATTENTION_TESTS_CLIENT_ATTN_APPLICATION_FIXTURE_H_
#define ATTENTION_TESTS_CLIENT_ATTN_APPLICATION_FIXTURE_H_

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/attn/application.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace attention::client {

// Runs attn as a function, with the fake service as its server.
class ApplicationFixture : public ::testing::Test {
 protected:
  ApplicationFixture() { std::filesystem::create_directories(folder_); }
  ~ApplicationFixture() override { std::filesystem::remove_all(folder_); }

  // Runs attn; the output and error texts are in out_ and err_.
  ExitCode Run(std::vector<std::string> arguments, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    const ExitCode code =
        RunAttn(arguments, {.in = in, .out = out, .err = err, .out_is_terminal = is_terminal_});
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  // The same against the fake service.
  ExitCode Call(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--server", service_.address()});
    return Run(std::move(arguments), input);
  }

  // Expects exit code 2 and one sentence with `text` in it.
  void ExpectUsageError(std::vector<std::string> arguments, const std::string& text,
                        const std::string& input = "") {
    EXPECT_EQ(Call(arguments, input), ExitCode::kUsage) << text;
    EXPECT_THAT(err_, ::testing::AllOf(::testing::StartsWith("attn: "), ::testing::HasSubstr(text),
                                       ::testing::EndsWith("\n")));
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
    EXPECT_THAT(out_, ::testing::IsEmpty());
    EXPECT_EQ(service_.call_count(), 0) << "a wrong command line must not reach a server";
  }

  std::string File(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  void AnswerWith(const std::string& text_proto) {
    v1::AttentionResponse response;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text_proto, &response));
    service_.AnswerWith(response);
  }

  FakeService service_;
  bool is_terminal_ = false;
  std::string out_;
  std::string err_;

  // Tests run beside each other, so each has its own.
  const std::string folder_ = ::testing::TempDir() + "attn_" +
                              ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                              std::to_string(getpid());
};

}  // namespace attention::client

#endif  // ATTENTION_TESTS_CLIENT_ATTN_APPLICATION_FIXTURE_H_
