# MPI, and tests that run as several processes.
include_guard()

set(MPI_CXX_SKIP_MPICXX ON)  # MPI's own C++ classes, gone since MPI 3
if(HEADGATE_REQUIRE_MPI)
  find_package(MPI REQUIRED COMPONENTS CXX)
else()
  find_package(MPI QUIET COMPONENTS CXX)
endif()
if(NOT TARGET MPI::MPI_CXX OR NOT MPIEXEC_EXECUTABLE)
  return()
endif()

# HEADGATE_MPIEXEC <n> <program> starts n processes of a program.
set(HEADGATE_MPIEXEC ${MPIEXEC_EXECUTABLE} ${MPIEXEC_PREFLAGS})
set(headgate_mpi_environment "")
execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE mpi_version ERROR_QUIET)
if(mpi_version MATCHES "Open MPI|OpenRTE")  # which by itself neither shares processors nor works for root
  list(APPEND HEADGATE_MPIEXEC --oversubscribe)
  set(headgate_mpi_environment OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
endif()
list(APPEND HEADGATE_MPIEXEC ${MPIEXEC_NUMPROC_FLAG})

# headgate_mpi_test(<name> <seconds of time-out> <command>...)
function(headgate_mpi_test name seconds)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${headgate_mpi_environment}" TIMEOUT ${seconds} PROCESSORS 2 LABELS mpi)
endfunction()
