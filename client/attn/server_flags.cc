#include "client/attn/server_flags.h"

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/attn/value_flags.h"

namespace attention::client {
namespace {

ClientOptions OptionsOf(const ServerFlags& flags) {
  ClientOptions options;
  options.deadline = std::chrono::milliseconds(flags.deadline_ms);
  return options;
}

// What is wrong with the text of --server; empty if nothing is. gRPC would look up a URL as the
// name of a host, and for no name it writes lines of its own. Its own schemes (dns:, unix:) stay.
std::string ServerProblem(const std::string& server) {
  const absl::string_view name = absl::StripPrefix(server, "dns:");
  if (name.find_first_not_of(" \t\r\n/") == absl::string_view::npos)
    return "it names no server; want HOST:PORT, such as 127.0.0.1:8001, here and in ATTN_SERVER";
  for (const char* scheme : {"http://", "https://", "grpc://", "grpcs://"}) {
    if (absl::StartsWithIgnoreCase(server, scheme)) {
      return absl::StrCat("want HOST:PORT, such as 127.0.0.1:8001, without ", scheme,
                          ", here and in ATTN_SERVER");
    }
  }
  return "";
}

}  // namespace

void AddServerFlags(CLI::App* command, ServerFlags* flags) {
  constexpr int64_t kMaxDeadlineMs = 24 * 60 * 60 * 1000;
  // Not a check(), because CLI11 ignores what the environment says if a check refuses it.
  const auto set_server = [flags](const std::string& server) {
    if (const std::string problem = ServerProblem(server); !problem.empty())
      throw CLI::ValidationError("--server", problem);
    flags->server = server;
  };
  command->add_option_function<std::string>("--server", set_server, "Where the server listens")
      ->envname("ATTN_SERVER")
      ->type_name("HOST:PORT")
      ->default_str(flags->server)
      ->group("Server");
  AddWhole(command, "--deadline-ms", &flags->deadline_ms, {.min = 1, .max = kMaxDeadlineMs},
           "Give up after this many milliseconds, retries included")
      ->capture_default_str()
      ->group("Server");
}

NamedServer::NamedServer(const ServerFlags& flags)
    : address_(flags.server),
      channel_(MakeChannel(flags.server)),
      client_(channel_, OptionsOf(flags)) {}

Outcome NamedServer::Failure(const absl::Status& status) const {
  // The channel's state right after the call tells a server that was not there from one that said
  // that it is unavailable.
  const bool is_connected =
      channel_->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_TRANSIENT_FAILURE;
  if (status.code() != absl::StatusCode::kUnavailable || is_connected) return ServerError(status);
  return ServerError(absl::UnavailableError(
      absl::StrCat("no server answers at ", address_, " (", status.message(),
                   "); start one with deploy/run, or name it with --server or ATTN_SERVER")));
}

Outcome NamedServer::LayerFailure(const absl::Status& status) const {
  if (status.code() != absl::StatusCode::kNotFound) return Failure(status);
  return Failure(absl::NotFoundError(absl::StrCat(status.message(), "; `attn layers` lists them")));
}

}  // namespace attention::client
