#include "tests/integration/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <thread>

#include "gtest/gtest.h"

namespace attention::testing {
namespace {

constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::chrono::milliseconds kPollInterval{5};

// This process's environment without what would configure a server.
std::vector<char*> CleanEnvironment() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("ATTENTION_")) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& flags,
                             const std::string& grpc_address) {
  log_path_ = std::filesystem::temp_directory_path() / "attention_server_log.XXXXXX";
  const int log_file = mkstemp(log_path_.data());
  if (log_file < 0) GiveUp("has no place for a log");

  std::vector<std::string> words = {TEST_SERVER_BINARY, "--grpc-address=" + grpc_address,
                                    "--http-address=127.0.0.1:0", "--drain-grace-ms=0",
                                    "--warm-up=none"};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log_file, STDERR_FILENO);
  const int failure = posix_spawn(&pid_, TEST_SERVER_BINARY, &actions, nullptr, arguments.data(),
                                  CleanEnvironment().data());
  posix_spawn_file_actions_destroy(&actions);
  close(log_file);
  if (failure != 0) GiveUp("could not be started");
  WaitUntilServing();
}

ServerProcess::~ServerProcess() {
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << "the server ended with wait status " << status << "; its log:\n"
      << Log();
  unlink(log_path_.c_str());
}

std::string ServerProcess::Log() const {
  std::ostringstream text;
  text << std::ifstream(log_path_).rdbuf();
  return text.str();
}

void ServerProcess::GiveUp(std::string_view reason) {
  if (pid_ >= 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::cerr << "the server under test " << reason << "; its log:\n" << Log() << std::endl;
  unlink(log_path_.c_str());
  std::abort();
}

void ServerProcess::WaitUntilServing() {
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    std::istringstream log(Log());
    for (std::string line; std::getline(log, line) && !log.eof();) {
      const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!entry.is_object() || entry.value("message", "") != "serving") continue;
      grpc_address_ = entry.value("grpc_address", "");
      http_address_ = entry.value("http_address", "");
      return;
    }
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      GiveUp("ended");
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  GiveUp("does not serve");
}

}  // namespace attention::testing
