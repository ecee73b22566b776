// Under a sanitizer, an allocation that cannot be had must fail as it does without one, instead of
// ending the program: the tests of running out of memory need it.

extern "C" {
const char* __asan_default_options();  // NOLINT: the sanitizers' names
const char* __tsan_default_options();  // NOLINT

const char* __asan_default_options() { return "allocator_may_return_null=1"; }
const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
}
