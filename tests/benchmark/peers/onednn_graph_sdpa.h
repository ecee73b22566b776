// Attention as oneDNN's Graph interface computes it: a peer to measure the kernels against.
//
//   output = softmax(query key^T / sqrt(width) + mask) value
//
// in the pattern that oneDNN's documentation gives for its fused partition. C linkage, so that
// Python loads it from a shared library. Query heads on fewer key-value heads are computed as the
// documentation has it, with an axis for the group. Causality is an additive mask: the packaged
// version has no other.

#ifndef ATTENTION_TESTS_BENCHMARK_PEERS_ONEDNN_GRAPH_SDPA_H_
#define ATTENTION_TESTS_BENCHMARK_PEERS_ONEDNN_GRAPH_SDPA_H_

#include <cstdint>

extern "C" {

struct OneDnnGraphSdpa;

struct OneDnnGraphSdpaShape {
  int64_t batch;
  int64_t query_head_count;
  int64_t key_value_head_count;
  int64_t query_count;
  int64_t key_count;
  int64_t width;
  int64_t is_bf16;  // 1: BF16, 0: F32
  int64_t is_causal;
};

// Dense arrays in the order [batch, heads, sequence, width].
struct OneDnnGraphSdpaArrays {
  const void* query;
  const void* key;
  const void* value;
  void* output;
};

// Compiles. Null, with the reason in `reason` (at most reason_bytes with its end), if oneDNN
// cannot, or not as one partition.
OneDnnGraphSdpa* onednn_graph_sdpa_make(const OneDnnGraphSdpaShape* shape, int thread_count,
                                        char* reason, int64_t reason_bytes);

// Computes once. Returns 0, or 1 if oneDNN failed. Not from two threads at once.
int onednn_graph_sdpa_run(OneDnnGraphSdpa* attention, const OneDnnGraphSdpaArrays* arrays);

void onednn_graph_sdpa_free(OneDnnGraphSdpa* attention);

}  // extern "C"

#endif  // ATTENTION_TESTS_BENCHMARK_PEERS_ONEDNN_GRAPH_SDPA_H_
