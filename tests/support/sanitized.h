// Whether a sanitizer looks on that makes every access to memory many times slower.

#ifndef ATTENTION_TESTS_SUPPORT_SANITIZED_H_
#define ATTENTION_TESTS_SUPPORT_SANITIZED_H_

namespace attention::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_SANITIZED_H_
