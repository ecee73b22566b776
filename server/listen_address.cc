#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

// The bytes of a numeric address, 4 or 16; none if it is not one.
std::string NumericHost(const std::string& host) {
  std::string bytes(sizeof(in_addr), '\0');
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) return bytes;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return "";
  bytes.resize(sizeof(in6_addr));
  const bool is_v6 =
      inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), bytes.data()) == 1;
  return is_v6 ? bytes : "";
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  ListenAddress address;
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos) address.host = std::string(text.substr(0, colon));
  const bool port_is_number =
      colon != absl::string_view::npos && absl::SimpleAtoi(text.substr(colon + 1), &address.port);
  if (!port_is_number || address.port < 0 || address.port > 65535 ||
      NumericHost(address.host).empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "got '", text,
        "', want ADDRESS:PORT with a numeric address, for example 127.0.0.1:8001 or [::1]:8001"));
  }
  return address;
}

bool IsWildcard(const ListenAddress& address) {
  return NumericHost(address.host).find_first_not_of('\0') == std::string::npos;
}

std::string ToString(const ListenAddress& address) {
  return absl::StrCat(address.host, ":", address.port);
}

}  // namespace attention::server
