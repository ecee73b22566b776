# The container image: attention_server and attn on Debian 13 slim, for a numeric user without privileges and
# a read-only root file system.
#
#   docker build -t attention-server .
#   docker run --rm --read-only -p 127.0.0.1:8001:8001 -p 127.0.0.1:8002:8002 attention-server
#
# Both stages install from deploy/packages.list, the one package list. deploy/verify-image builds this file
# and tries the image.

ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /source
COPY deploy/packages.list deploy/packages.list
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $(awk '!/^#/ && $2 == "build" { print $1 }' deploy/packages.list)
COPY CMakeLists.txt CMakePresets.json ./
COPY deploy/cmake deploy/cmake
COPY proto proto
COPY kernels kernels
COPY server server
COPY client client
RUN cmake --preset release -DATTENTION_BUILD_TESTS=OFF -DATTENTION_BUILD_PYTHON=OFF \
 && cmake --build --preset release --parallel "$(nproc)" --target attention_server attn \
 && strip build/release/bin/attention_server build/release/bin/attn
# Headers and static libraries that are compiled into the two programs: their licences travel with them.
RUN mkdir /compiled-in \
 && for package in $(awk '!/^#/ && $2 == "build" && $1 ~ /-dev$/ { print $1 }' deploy/packages.list); do \
      mkdir "/compiled-in/$package" \
      && cp "/usr/share/doc/$package/copyright" "/compiled-in/$package/" \
      && dpkg-query --show --showformat '${Package} ${Version} /usr/share/doc/attention/compiled-in/${Package}/copyright\n' \
           "$package" >>/compiled-in/index || exit 1; \
    done

FROM ${BASE_IMAGE}
COPY deploy/packages.list /usr/share/doc/attention/packages.list
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $(awk '!/^#/ && $2 == "runtime" { print $1 }' /usr/share/doc/attention/packages.list) \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*
COPY --from=build /compiled-in /usr/share/doc/attention/compiled-in
COPY LICENSE /usr/share/doc/attention/LICENSE
RUN set -e; cd /usr/share/doc/attention; \
    { echo "Packages in this image and those compiled into its programs: name, version, licence text."; \
      cat compiled-in/index; \
      dpkg-query --show --showformat '${Package} ${Version} /usr/share/doc/${Package}/copyright\n'; \
    } >THIRD_PARTY_LICENSES; \
    rm compiled-in/index; \
    awk 'NR > 1 { print $3 }' THIRD_PARTY_LICENSES | while read -r text; do test -s "$text"; done
COPY --from=build /source/build/release/bin/attention_server /source/build/release/bin/attn /usr/local/bin/

ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="attention-server" \
      org.opencontainers.image.description="Attention over gRPC, computed on CPUs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

ENV ATTENTION_GRPC_ADDRESS=0.0.0.0:8001 \
    ATTENTION_HTTP_ADDRESS=0.0.0.0:8002
EXPOSE 8001 8002
USER 10001:10001
WORKDIR /
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["attn", "health"]
ENTRYPOINT ["attention_server"]
