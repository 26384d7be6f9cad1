// SPDX-License-Identifier: BSD-3-Clause
// What a check of this folder returns: true, or the sentences that say what is wrong.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <string>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace testing {

/// True if nothing failed. Prints one sentence a line (`stream << report`, hence in the output of most frameworks).
class report {
 public:
  [[nodiscard]] explicit operator bool() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }

  /// Notes the sentence made of the parts (texts and numbers) unless `holds`.
  template <class... Parts>
  void require(bool holds, const Parts&... parts) {
    if (holds) return;
    text_ += sentence(parts...);
    text_ += '\n';
  }
  /// Notes all that another report says.
  void include(const report& other) { text_ += other.text_; }

  template <class Stream>
  friend Stream& operator<<(Stream& stream, const report& r) {
    stream << (r ? "no failure" : r.text_.c_str());
    return stream;
  }

 private:
  std::string text_;
};

}  // namespace testing
}  // namespace HEADGATE_ABI
}  // namespace headgate
