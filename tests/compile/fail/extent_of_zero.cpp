// expect: extent: a static size is at least 1
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/extent.hpp>

headgate::extent<0> none;
