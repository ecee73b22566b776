#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/attn/commands.h"
#include "client/attn/server_flags.h"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"
#include "client/terminal/table.h"
#include "client/version.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

struct InfoFlags {
  ServerFlags server;
  bool json = false;
};

std::string DefaultPrecision(const ServerInfo& info) {
  return info.default_precision ? std::string(Name(*info.default_precision)) : "unknown";
}

std::string InfoTable(const ServerInfo& info) {
  return FormatPairs({
      {"version", info.version},
      {"implementations", absl::StrJoin(info.implementations, ", ")},
      {"instruction set", info.instruction_set},
      {"default precision", DefaultPrecision(info)},
      {"compute threads", absl::StrCat(info.compute_thread_count)},
      {"request limit", absl::StrCat(info.max_request_bytes, " bytes")},
      {"response limit", absl::StrCat(info.max_response_bytes, " bytes")},
      {"arithmetic limit",
       absl::StrFormat("%.4g floating point operations", info.max_request_flops)},
      {"float64 limit",
       absl::StrFormat("%.4g floating point operations", info.max_request_float64_flops)},
      {"queue capacity", absl::StrCat(info.queue_capacity, " requests")},
  });
}

std::string InfoJson(const ServerInfo& info) {
  const nlohmann::ordered_json json = {
      {"version", info.version},
      {"implementations", info.implementations},
      {"instruction_set", info.instruction_set},
      {"default_precision", DefaultPrecision(info)},
      {"compute_thread_count", info.compute_thread_count},
      {"max_request_bytes", info.max_request_bytes},
      {"max_response_bytes", info.max_response_bytes},
      {"max_request_flops", info.max_request_flops},
      {"max_request_float64_flops", info.max_request_float64_flops},
      {"queue_capacity", info.queue_capacity},
  };
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Outcome RunInfo(const InfoFlags& flags, const Console& console) {
  NamedServer server(flags.server);
  const absl::StatusOr<ServerInfo> info = server.client()->GetServerInfo();
  if (!info.ok()) return server.Failure(info.status());
  console.out << (flags.json ? InfoJson(*info) : InfoTable(*info));
  return {};
}

std::string StatusName(ServingStatus status) {
  switch (status) {
    case ServingStatus::kUnknown:
      return "UNKNOWN";
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kNotServing:
      return "NOT_SERVING";
    case ServingStatus::kServiceUnknown:
      return "SERVICE_UNKNOWN";
  }
  return absl::StrCat("status ", static_cast<int>(status));
}

Outcome RunHealth(const ServerFlags& flags, const std::string& service, const Console& console) {
  NamedServer server(flags);
  const absl::StatusOr<ServingStatus> status = server.client()->CheckHealth(service);
  if (!status.ok()) return server.Failure(status.status());
  console.out << StatusName(*status) << "\n";
  if (*status == ServingStatus::kServing) return {};
  return {ExitCode::kServer,
          absl::StrCat("the server at ", flags.server, " is ", StatusName(*status))};
}

Outcome RunVersion(const ServerFlags& flags, bool ask_server, const Console& console) {
  console.out << "attn " << kClientVersion << "\n";
  if (!ask_server) return {};
  NamedServer server(flags);
  const absl::StatusOr<ServerInfo> info = server.client()->GetServerInfo();
  if (!info.ok()) return server.Failure(info.status());
  console.out << "server " << info->version << "\n";
  return {};
}

void AddInfo(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* command = app->add_subcommand("info", "What the server is and allows")->group("Server");
  const auto flags = std::make_shared<InfoFlags>();
  AddWordFlag<bool>(command, "--output", &flags->json, {{"table", false}, {"json", true}},
                    "How it is written (default table)");
  AddServerFlags(command, &flags->server);
  command->footer("Example:\n  attn info --server 127.0.0.1:8001 --output json");
  OnChosen(command, chosen, [&console, flags] { return RunInfo(*flags, console); });
}

void AddHealth(CLI::App* app, const Console& console, Command* chosen) {
  constexpr int64_t kHealthDeadlineMs = 2000;  // a probe that takes longer has told enough
  CLI::App* command =
      app->add_subcommand("health", "Whether the server is serving; exit code 0 only if so");
  command->group("Server");
  const auto flags = std::make_shared<ServerFlags>();
  flags->deadline_ms = kHealthDeadlineMs;
  const auto service = std::make_shared<std::string>();
  AddName(command, "--service", service.get(),
          "A service's full name; the whole server if not given");
  AddServerFlags(command, flags.get());
  command->get_option("--deadline-ms")->description("Give up after this many milliseconds");
  command->footer("Example:\n  attn health --service attention.v1.AttentionService");
  OnChosen(command, chosen,
           [&console, flags, service] { return RunHealth(*flags, *service, console); });
}

void AddVersion(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* command =
      app->add_subcommand("version", "This program's version, and the server's where one is named");
  command->group("Server");
  const auto flags = std::make_shared<ServerFlags>();
  AddServerFlags(command, flags.get());
  command->footer("Examples:\n  attn version\n  attn version --server 127.0.0.1:8001");
  // Without a name no server is asked, not even the default one.
  command->get_option("--server")->description("Also ask the server that listens there");
  command->get_option("--server")->default_str("");
  OnChosen(command, chosen, [&console, flags, command] {
    return RunVersion(*flags, /*ask_server=*/command->count("--server") > 0, console);
  });
}

}  // namespace

void AddServerCommands(CLI::App* app, const Console& console, Command* chosen) {
  AddInfo(app, console, chosen);
  AddHealth(app, console, chosen);
  AddVersion(app, console, chosen);
}

}  // namespace attention::client
