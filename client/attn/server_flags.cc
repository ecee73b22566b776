#include "client/attn/server_flags.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/attn/value_flags.h"

namespace attention::client {
namespace {

ClientOptions OptionsOf(const ServerFlags& flags) {
  ClientOptions options;
  options.deadline = std::chrono::milliseconds(flags.deadline_ms);
  return options;
}

// Of gRPC's own names for servers; none of them is the name of a host before its port.
constexpr const char* kSchemes[] = {"dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:", "xds:"};

// Whether the text is HOST:PORT with a port from 1 to 65535, which gRPC would not check, and no
// other colon outside of brackets, by which it takes an IPv6 address for one without a port.
bool IsHostAndPort(std::string_view server) {
  const size_t colon = server.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view host = server.substr(0, colon);
  const std::string_view port_text = server.substr(colon + 1);
  uint16_t port = 0;
  const char* const text_end = port_text.data() + port_text.size();
  const auto [end, error] = std::from_chars(port_text.data(), text_end, port);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  return error == std::errc() && end == text_end && port > 0 && !host.empty() &&
         host.find_first_of(" \t\r\n/") == std::string_view::npos &&
         (in_brackets || host.find(':') == std::string_view::npos);
}

// Whether the text is one or more addresses with their ports, as they follow the scheme of this
// family; of others gRPC writes lines of its own, and its error does not name them.
bool AreAddresses(std::string_view text, int family) {
  text.remove_prefix(std::min(text.find_first_not_of('/'), text.size()));
  const auto is_address = [family](std::string_view part) {
    std::string host(part.substr(0, part.rfind(':')));
    if (family == AF_INET6) {
      if (!host.starts_with('[') || !host.ends_with(']')) return false;
      host = host.substr(1, host.find_first_of("]%") - 1);  // a % begins the name of a network
    }
    in6_addr parsed;
    return IsHostAndPort(part) && inet_pton(family, host.c_str(), &parsed) == 1;
  };
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ',');
  return std::ranges::all_of(parts, is_address);
}

// What is wrong with the text of --server; empty if nothing is. gRPC would look up a URL as the
// name of a host, and for no name it writes lines of its own.
std::string ServerProblem(const std::string& server) {
  const std::string want = "want HOST:PORT, such as 127.0.0.1:8001, here and in ATTN_SERVER";
  const absl::string_view name = absl::StripPrefix(server, "dns:");
  if (name.find_first_not_of(" \t\r\n/") == absl::string_view::npos)
    return "it names no server; " + want;
  if (server.starts_with("ipv4:") && !AreAddresses(server.substr(5), AF_INET))
    return absl::StrCat("got ", server, ", want ipv4:ADDRESS:PORT, such as ipv4:127.0.0.1:8001");
  if (server.starts_with("ipv6:") && !AreAddresses(server.substr(5), AF_INET6))
    return absl::StrCat("got ", server, ", want ipv6:[ADDRESS]:PORT, such as ipv6:[::1]:8001");
  const bool has_scheme =
      std::ranges::any_of(kSchemes, [&](const char* scheme) { return server.starts_with(scheme); });
  return has_scheme || IsHostAndPort(server) ? "" : absl::StrCat("got ", server, ", ", want);
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
      deadline_ms_(flags.deadline_ms),
      channel_(MakeChannel(flags.server)),
      client_(channel_, OptionsOf(flags)) {}

Outcome NamedServer::Failure(const absl::Status& status) const {
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    const bool is_grpcs = status.message() == "Deadline Exceeded";
    return ServerError(absl::DeadlineExceededError(
        absl::StrCat("no answer from ", address_, " within ", deadline_ms_, " ms (--deadline-ms)",
                     is_grpcs ? "" : ": ", is_grpcs ? "" : status.message())));
  }
  if (status.code() != absl::StatusCode::kUnavailable) return ServerError(status);
  // The channel's state right after the call tells a server that was not there from one that said
  // that it is unavailable, or whose connection broke.
  if (channel_->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_TRANSIENT_FAILURE)
    return ServerError(absl::UnavailableError(absl::StrCat(address_, ": ", status.message())));
  return ServerError(absl::UnavailableError(
      absl::StrCat("no server answers at ", address_, " (", status.message(),
                   "); start one with deploy/run, or name it with --server or ATTN_SERVER")));
}

Outcome NamedServer::LayerFailure(const absl::Status& status) const {
  if (status.code() != absl::StatusCode::kNotFound) return Failure(status);
  return Failure(absl::NotFoundError(absl::StrCat(status.message(), "; `attn layers` lists them")));
}

}  // namespace attention::client
