#include "server/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

bool IsNumericHost(const std::string& host) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return true;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  in6_addr v6 = {};
  return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1;
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  ListenAddress address;
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos) address.host = std::string(text.substr(0, colon));
  const bool port_is_number =
      colon != absl::string_view::npos && absl::SimpleAtoi(text.substr(colon + 1), &address.port);
  if (!port_is_number || address.port < 0 || address.port > 65535 || !IsNumericHost(address.host)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "got '", text,
        "', want ADDRESS:PORT with a numeric address, for example 127.0.0.1:8001 or [::1]:8001"));
  }
  return address;
}

std::string ToString(const ListenAddress& address) {
  return absl::StrCat(address.host, ":", address.port);
}

}  // namespace attention::server
