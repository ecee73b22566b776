#include "server/http_server.h"

#include <CivetServer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/listen_address.h"
#include "server/parked_thread.h"

namespace attention::server {
namespace {

// A client that sends slowly has a thread to itself until its time is up: enough of them that some
// such clients do not silence the probes.
constexpr char kThreadCount[] = "50";
constexpr char kQueueLength[] = "100";
constexpr char kPatienceMilliseconds[] = "1000";  // for the request, and again for what follows it

struct Page {
  int status = 200;
  const char* reason = "OK";
  std::string text;
};

class PageHandler final : public CivetHandler {
 public:
  // `make` is called for each request. `content_type` must be a literal.
  PageHandler(const char* path, const char* content_type, std::function<Page()> make)
      : path_(path), content_type_(content_type), make_(std::move(make)) {}

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    return Answer(connection, true);
  }
  bool handleHead(CivetServer* /*server*/, mg_connection* connection) override {
    return Answer(connection, false);
  }

 private:
  bool Answer(mg_connection* connection, bool with_text) const {
    // The server also matches paths below the handler's.
    if (std::string_view(mg_get_request_info(connection)->local_uri) != path_) {
      mg_send_http_error(connection, 404, "%s", "no such page");
      return true;
    }
    const Page page = make_();
    mg_printf(
        connection,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n",
        page.status, page.reason, content_type_, page.text.size());
    if (with_text) mg_write(connection, page.text.data(), page.text.size());
    return true;
  }

  const std::string_view path_;
  const char* const content_type_;
  const std::function<Page()> make_;
};

constexpr char kProbeType[] = "text/plain; charset=utf-8";

// `otherwise` must be a literal.
std::function<Page()> Probe(std::function<bool()> holds, const char* otherwise) {
  return [holds = std::move(holds), otherwise] {
    return holds() ? Page{.text = "ok\n"} : Page{503, "Service Unavailable", otherwise};
  };
}

bool HasIpv6() {
  const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe == -1) return false;
  close(probe);
  return true;
}

// The library's word for where to listen. A wildcard of either family means both, as gRPC has it.
std::string ListeningPort(const ListenAddress& address) {
  if (!IsWildcard(address)) return ToString(address);
  return HasIpv6() ? absl::StrCat("+", address.port) : absl::StrCat(address.port);
}

// A connection that is closed at once.
void Knock(const ListenAddress& address) {
  char error[64] = {};
  mg_connection* const connection =
      mg_connect_client(address.host.c_str(), address.port, /*use_ssl=*/0, error, sizeof(error));
  if (connection != nullptr) mg_close_connection(connection);
}

// Start-up errors are reported by Start; what goes wrong with one client is that client's affair.
int DropMessage(const mg_connection* /*connection*/, const char* /*message*/) { return 1; }

CivetCallbacks Callbacks() {
  CivetCallbacks callbacks;
  callbacks.log_message = DropMessage;
  return callbacks;
}

}  // namespace

class HttpServer::Impl {
 public:
  // Throws CivetException.
  Impl(const ListenAddress& address, HttpPages pages)
      : callbacks_(Callbacks()),
        metrics_("/metrics", "text/plain; version=0.0.4; charset=utf-8",
                 [make = std::move(pages.metrics)] { return Page{.text = make()}; }),
        livez_("/livez", kProbeType, Probe(std::move(pages.alive), "not alive\n")),
        readyz_("/readyz", kProbeType, Probe(std::move(pages.ready), "not ready\n")),
        server_(std::vector<std::string>{"listening_ports", ListeningPort(address), "num_threads",
                                         kThreadCount, "connection_queue", kQueueLength,
                                         "request_timeout_ms", kPatienceMilliseconds,
                                         "enable_keep_alive", "no"},
                &callbacks_) {
    server_.addHandler("/metrics", metrics_);
    server_.addHandler("/livez", livez_);
    server_.addHandler("/readyz", readyz_);
    address_ = {address.host, server_.getListeningPorts().at(0)};
    address_text_ = ToString(address_);
  }

  // The library waits two seconds at a time for a connection and only then sees that it is to end;
  // a knock ends the wait.
  ~Impl() {
    static constexpr std::chrono::milliseconds kKnockInterval{5};
    knocker_.Run([this] {
      while (!closed_) {
        std::this_thread::sleep_for(kKnockInterval);
        Knock(address_);
      }
    });
    server_.close();
    closed_ = true;
  }

  [[nodiscard]] const std::string& address() const { return address_text_; }

 private:
  const CivetCallbacks callbacks_;
  PageHandler metrics_;
  PageHandler livez_;
  PageHandler readyz_;
  ListenAddress address_;
  std::string address_text_;
  std::atomic<bool> closed_ = false;
  CivetServer server_;    // its destructor waits for handlers
  ParkedThread knocker_;  // last: it uses the rest
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              HttpPages pages) {
  const absl::StatusOr<ListenAddress> parsed = ParseListenAddress(address);
  if (!parsed.ok()) return parsed.status();
  try {
    return std::unique_ptr<HttpServer>(
        new HttpServer(std::make_unique<Impl>(*parsed, std::move(pages))));
  } catch (const CivetException&) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": it is in use or not of this machine"));
  }
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

const std::string& HttpServer::address() const { return impl_->address(); }

}  // namespace attention::server
