// SPDX-License-Identifier: BSD-3-Clause
// A user's file with the macros that windows.h, complex.h, curses and old C code define. Those macros also break Eigen, xsimd and
// parts of the standard library, which is not ours to mend: all of that is included before them.
#include <Eigen/Core>
#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define I 1i
#define near
#define far
#define small char
#define interface struct
#define ERROR 0
#define TRUE 1
#define FALSE 0
#define IN
#define OUT
#define OPTIONAL
#define DELETE 2
#define NO_ERROR 0

#include <headgate/headgate.hpp>
