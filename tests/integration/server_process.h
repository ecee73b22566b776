// A real attention_server on free ports of the loopback interface.

#ifndef ATTENTION_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define ATTENTION_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace attention::testing {

// Runs for as long as the object lives. Thread safety: as any value's.
class ServerProcess {
 public:
  // Starts the server with `flags` beside the addresses and waits until it serves; ends the test
  // program, with the server's log, if it does not. An address of port 0 has any free one.
  explicit ServerProcess(const std::vector<std::string>& flags = {},
                         const std::string& grpc_address = "127.0.0.1:0");

  // Asks the server to end (SIGTERM) and waits for that. The test fails unless its exit code is 0,
  // which it is not after a leak, either.
  ~ServerProcess();

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // "127.0.0.1:PORT"
  [[nodiscard]] const std::string& grpc_address() const { return grpc_address_; }
  [[nodiscard]] const std::string& http_address() const { return http_address_; }

  // What the server has logged so far.
  [[nodiscard]] std::string Log() const;

 private:
  void WaitUntilServing();

  // Ends the server and the test program.
  [[noreturn]] void GiveUp(std::string_view reason);

  pid_t pid_ = -1;
  std::string log_path_;
  std::string grpc_address_;
  std::string http_address_;
};

}  // namespace attention::testing

#endif  // ATTENTION_TESTS_INTEGRATION_SERVER_PROCESS_H_
