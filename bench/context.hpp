// SPDX-License-Identifier: BSD-3-Clause
// What a reader of the figures must know: compiler, flags, libraries, caches, limits.
#pragma once

namespace headgate_bench {

// Both add to the context of the report, hence to the JSON file.
void describe_build();
void describe_limits();  ///< takes two seconds

}  // namespace headgate_bench
