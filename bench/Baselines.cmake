# Libraries to compare with, used if they are there: OpenBLAS (Debian: libopenblas-dev) and oneDNN (libdnnl-dev).
include_guard()

add_library(headgate_baselines INTERFACE)

find_package(OpenBLAS CONFIG QUIET)
if(OpenBLAS_FOUND)
  find_path(HEADGATE_CBLAS_DIR cblas.h HINTS ${OpenBLAS_INCLUDE_DIRS})
  mark_as_advanced(HEADGATE_CBLAS_DIR)
endif()
if(OpenBLAS_FOUND AND HEADGATE_CBLAS_DIR)
  target_include_directories(headgate_baselines SYSTEM INTERFACE ${HEADGATE_CBLAS_DIR})
  target_link_libraries(headgate_baselines INTERFACE ${OpenBLAS_LIBRARIES})
  target_compile_definitions(headgate_baselines INTERFACE HEADGATE_BENCH_OPENBLAS=1)
  message(STATUS "Baseline OpenBLAS ${OpenBLAS_VERSION}: ${OpenBLAS_LIBRARIES}")
else()
  target_compile_definitions(headgate_baselines INTERFACE HEADGATE_BENCH_OPENBLAS=0)
  message(STATUS "Baseline OpenBLAS: not found, left out (Debian: libopenblas-dev)")
endif()

# oneDNN takes its number of threads from OpenMP. Looked for by hand: Debian's package file insists on OpenCL, which the
# library does not need.
find_path(HEADGATE_DNNL_DIR dnnl.h)
find_library(HEADGATE_DNNL_LIBRARY dnnl)
mark_as_advanced(HEADGATE_DNNL_DIR HEADGATE_DNNL_LIBRARY)
if(HEADGATE_DNNL_DIR AND HEADGATE_DNNL_LIBRARY AND TARGET OpenMP::OpenMP_CXX)
  target_include_directories(headgate_baselines SYSTEM INTERFACE ${HEADGATE_DNNL_DIR})
  target_link_libraries(headgate_baselines INTERFACE ${HEADGATE_DNNL_LIBRARY} OpenMP::OpenMP_CXX)
  target_compile_definitions(headgate_baselines INTERFACE HEADGATE_BENCH_ONEDNN=1)
  message(STATUS "Baseline oneDNN: ${HEADGATE_DNNL_LIBRARY}")
else()
  target_compile_definitions(headgate_baselines INTERFACE HEADGATE_BENCH_ONEDNN=0)
  message(STATUS "Baseline oneDNN: not found, left out (Debian: libdnnl-dev)")
endif()
