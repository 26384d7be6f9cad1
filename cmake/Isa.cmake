# The instruction set of our own programs, one for the whole build: Eigen's and our class layouts depend on it (docs/abi.md).
include_guard()
include(CheckCXXSourceRuns)

set(HEADGATE_ISA auto CACHE STRING "auto (AVX2 + FMA if this processor runs it), native, sse2, avx2, avx512, or default (the compiler's)")
set_property(CACHE HEADGATE_ISA PROPERTY STRINGS auto native sse2 avx2 avx512 default)

set(headgate_isa_default "")
set(headgate_isa_native -march=native)
set(headgate_isa_sse2 -march=x86-64)
set(headgate_isa_avx2 -mavx2 -mfma -mf16c)  # every processor with AVX2 has F16C
set(headgate_isa_avx512 ${headgate_isa_avx2} -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)

# headgate_host_runs(<result> <feature>...): whether this processor has all of them.
function(headgate_host_runs result)
  list(TRANSFORM ARGN REPLACE "(.+)" "__builtin_cpu_supports(\"\\1\")" OUTPUT_VARIABLE checks)
  list(JOIN checks " && " checks)
  set(CMAKE_REQUIRED_QUIET ON)
  check_cxx_source_runs("int main() { return ${checks} ? 0 : 1; }" ${result})
  set(${result} "${${result}}" PARENT_SCOPE)
endfunction()

set(isa ${HEADGATE_ISA})
if(isa STREQUAL "auto")
  set(isa default)
  if(NOT CMAKE_CROSSCOMPILING)
    headgate_host_runs(HEADGATE_HOST_RUNS_AVX2 avx2 fma)
    if(HEADGATE_HOST_RUNS_AVX2)
      set(isa avx2)
    endif()
  endif()
endif()
if(NOT DEFINED headgate_isa_${isa})
  message(FATAL_ERROR "HEADGATE_ISA is ${HEADGATE_ISA}, it must be auto, native, sse2, avx2, avx512 or default")
endif()

# Without, our programs are compiled only.
set(HEADGATE_HOST_RUNS_ISA ON)
if(isa STREQUAL "avx512" AND NOT CMAKE_CROSSCOMPILING)
  headgate_host_runs(HEADGATE_HOST_RUNS_AVX512 avx2 fma avx512f avx512cd avx512dq avx512bw avx512vl)
  if(NOT HEADGATE_HOST_RUNS_AVX512)
    set(HEADGATE_HOST_RUNS_ISA OFF)
  endif()
endif()

set(HEADGATE_ISA_FLAGS ${headgate_isa_${isa}})
message(STATUS "Instruction set: ${HEADGATE_ISA} -> ${isa} (${HEADGATE_ISA_FLAGS})")
add_compile_options(${HEADGATE_ISA_FLAGS})
