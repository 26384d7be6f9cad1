# headgate::warnings: for our tests, examples and benchmarks only, never part of what a consumer links. The presets turn
# warnings into errors (CMAKE_COMPILE_WARNING_AS_ERROR); a build by hand with a newer compiler only prints them.
include_guard()

add_library(headgate_warnings INTERFACE)
add_library(headgate::warnings ALIAS headgate_warnings)
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(headgate_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wdouble-promotion -Wold-style-cast -Wundef)
endif()
# g++ 12 sees uninitialised values in its own AVX-512 intrinsics.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND HEADGATE_ISA MATCHES "avx512|native")
  target_compile_options(headgate_warnings INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
