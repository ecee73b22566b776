#include "client/attn/server_flags.h"

#include "CLI/CLI.hpp"

namespace attention::client {

void AddServerFlags(CLI::App* command, ServerFlags* flags) {
  constexpr int64_t kMaxDeadlineMs = 24 * 60 * 60 * 1000;
  command->add_option("--server", flags->server, "Where the server listens")
      ->envname("ATTN_SERVER")
      ->type_name("HOST:PORT")
      ->capture_default_str()
      ->group("Server");
  command
      ->add_option("--deadline-ms", flags->deadline_ms,
                   "Give up after this many milliseconds, retries included")
      ->check(CLI::Range(int64_t{1}, kMaxDeadlineMs).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Server");
}

std::unique_ptr<AttentionClient> MakeClient(const ServerFlags& flags) {
  ClientOptions options;
  options.deadline = std::chrono::milliseconds(flags.deadline_ms);
  return std::make_unique<AttentionClient>(MakeChannel(flags.server), options);
}

}  // namespace attention::client
