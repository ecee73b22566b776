// attention_server: attention over gRPC. --help says how to use it.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "server/lifecycle.h"
#include "server/server_options.h"

int main(int argc, char** argv) {
  namespace server = attention::server;
  server::PrepareFiles();
  server::KeepFreedMemory();
  server::HoldSignals();

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const server::ParsedOptions parsed = server::ParseServerOptions(arguments, environment);
  if (parsed.exit_code.has_value()) {
    std::FILE* const stream = *parsed.exit_code == 0 ? stdout : stderr;
    const bool is_written =
        std::fputs(parsed.text.c_str(), stream) >= 0 && std::fflush(stream) == 0;
    if (is_written || *parsed.exit_code != 0) return *parsed.exit_code;
    std::fputs("attention_server: standard output cannot be written\n", stderr);
    return 1;
  }
  return server::ServeUntilTerminated(parsed);
}
