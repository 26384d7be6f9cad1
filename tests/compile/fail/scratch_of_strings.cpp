// expect: scratch: holds plain numbers only
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/scratch.hpp>

#include <string>

headgate::scratch<std::string> words;
