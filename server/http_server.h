// /metrics, /livez and /readyz over HTTP.

#ifndef ATTENTION_SERVER_HTTP_SERVER_H_
#define ATTENTION_SERVER_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace attention::server {

// Called from the server's threads, several at a time.
struct HttpPages {
  std::function<std::string()> metrics;  // the text of /metrics
  std::function<bool()> alive;           // whether /livez is 200 or 503
  std::function<bool()> ready;           // whether /readyz is
};

// Serves GET and HEAD of the three paths; everything else is 404 or 405. Slow clients are cut off
// after some two seconds.
class HttpServer {
 public:
  // `address` is ADDRESS:PORT with a numeric address; port 0 means any free one. 0.0.0.0 and
  // [::] are both all addresses of IPv4 and IPv6, of IPv4 alone where there is no IPv6, as for
  // gRPC. Returns kInvalidArgument or kUnavailable, as one sentence for the operator.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                                         HttpPages pages);

  // Waits for requests that are being answered.
  ~HttpServer();

  // With the port that is really used.
  [[nodiscard]] const std::string& address() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_HTTP_SERVER_H_
